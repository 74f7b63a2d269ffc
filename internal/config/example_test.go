package config

import (
	"bytes"
	"encoding/json"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func TestExampleIsTheDefault(t *testing.T) {
	text := Example()
	got, err := Parse("example", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, Default()) {
		t.Errorf("the example gives %+v", got)
	}
	for i := range table {
		o := &table[i]
		if _, item := o.itemOf(); item && laterKey(o) {
			continue
		}
		name := o.Key[strings.LastIndexByte(o.Key, '.')+1:]
		line := regexp.MustCompile(`(?m)^ *(# +(- )?)?` + regexp.QuoteMeta(name) + `: `)
		if !line.MatchString(text) {
			t.Errorf("the example lacks %s", o.Key)
		}
	}
}

// TestExampleItems takes the comment signs from the commented items away: they
// have to be right as well.
func TestExampleItems(t *testing.T) {
	var doc []string
	inItem := false
	for line := range strings.Lines(Example()) {
		bare := strings.TrimSpace(line)
		switch {
		case bare == "# For instance:":
			inItem = true
			doc = doc[:len(doc)-1] // the empty list
		case inItem && strings.HasPrefix(bare, "#"):
			indent := line[:strings.IndexByte(line, '#')]
			doc = append(doc, indent+strings.TrimPrefix(bare, "# ")+"\n")
		default:
			inItem = false
			doc = append(doc, line)
		}
	}
	c, err := Parse("items", []byte(strings.Join(doc, "")))
	if err != nil {
		t.Fatalf("%v\n%s", err, strings.Join(doc, ""))
	}
	if len(c.Forward) != 1 || len(c.Stub) != 1 || len(c.Stale.Zones) != 1 || len(c.LocalZones) != 1 {
		t.Errorf("items are missing: %+v", c)
	}
}

func TestSchema(t *testing.T) {
	text, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	var schema map[string]any
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	conforms := func(doc string) bool {
		var tree any
		if err := yaml.Unmarshal([]byte(doc), &tree); err != nil {
			t.Fatalf("%s: %v", doc, err)
		}
		var plain any
		b, err := json.Marshal(tree)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.NewDecoder(bytes.NewReader(b)).Decode(&plain); err != nil {
			t.Fatal(err)
		}
		return valid(t, schema, plain)
	}
	if !conforms(Example()) {
		t.Error("the schema refuses the example")
	}
	for i := range table {
		o := &table[i]
		for _, value := range append(slices.Clone(o.Examples), o.Min, o.Max) {
			if value != "" && conforms(document(o, value)) == laterKey(o) {
				t.Errorf("schema on %s: %v", document(o, value), !laterKey(o))
			}
		}
	}
	for _, doc := range []string{
		"lisen: []", "cache: {size: 256}", "cache: {max-ttl: 30}", "stale: {enabled: maybe}",
		"recursion: {prefetch: on}", "root-zone: {mode: mirror}", "root-zone: {sources: x}", "limits: {depth: 0}",
		"forward: [{zone: x.}]", "listen: x", "cache: {snapshot-interval: 60}", "forward: [{zone: x, to: [], too: 1}]",
	} {
		if conforms(doc) {
			t.Errorf("the schema accepts %s", doc)
		}
	}
}

// valid knows as much of JSON Schema as our schema uses; other words fail.
func valid(t *testing.T, schema map[string]any, v any) bool {
	t.Helper()
	ok := true
	for word, want := range schema {
		switch word {
		case "type":
			ok = ok && hasType(want, v)
		case "properties", "additionalProperties", "required":
			ok = ok && validObject(t, schema, v)
		case "items":
			list, _ := v.([]any)
			for _, item := range list {
				ok = ok && valid(t, want.(map[string]any), item)
			}
		case "maxItems":
			list, _ := v.([]any)
			ok = ok && len(list) <= int(want.(float64))
		case "enum":
			ok = ok && slices.Contains(want.([]any), v)
		case "const":
			ok = ok && v == want
		case "pattern":
			s, isText := v.(string)
			ok = ok && isText && regexp.MustCompile(want.(string)).MatchString(s)
		case "minimum":
			n, isNum := v.(float64)
			ok = ok && isNum && n >= want.(float64)
		case "maximum":
			n, isNum := v.(float64)
			ok = ok && isNum && n <= want.(float64)
		case "anyOf":
			ok = ok && slices.ContainsFunc(want.([]any), func(s any) bool { return valid(t, s.(map[string]any), v) })
		case "not":
			ok = ok && !valid(t, want.(map[string]any), v)
		case "description", "default", "title", "$schema", "format":
		default:
			t.Fatalf("the schema uses %q", word)
		}
	}
	return ok
}

func hasType(want, v any) bool {
	if several, ok := want.([]any); ok {
		return slices.ContainsFunc(several, func(one any) bool { return hasType(one, v) })
	}
	switch v := v.(type) {
	case nil:
		return want == "null"
	case bool:
		return want == "boolean"
	case string:
		return want == "string"
	case float64:
		return want == "number" || want == "integer" && v == float64(int64(v))
	case []any:
		return want == "array"
	default:
		return want == "object"
	}
}

func validObject(t *testing.T, schema map[string]any, v any) bool {
	t.Helper()
	fields, ok := v.(map[string]any)
	if !ok {
		return true
	}
	properties := schema["properties"].(map[string]any)
	for name, value := range fields {
		property, known := properties[name]
		if !known && schema["additionalProperties"] != false {
			continue
		}
		if !known || !valid(t, property.(map[string]any), value) {
			return false
		}
	}
	required, _ := schema["required"].([]any)
	return !slices.ContainsFunc(required, func(name any) bool { _, there := fields[name.(string)]; return !there })
}
