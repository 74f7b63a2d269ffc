package control

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// schema is as much of JSON Schema as the description uses.
type schema struct {
	Ref        string            `json:"$ref"`
	Type       string            `json:"type"`
	Format     string            `json:"format"`
	Properties map[string]schema `json:"properties"`
	Required   []string          `json:"required"`
	Items      *schema           `json:"items"`
	Enum       []string          `json:"enum"`
	Text       string            `json:"description"`
}

type content map[string]struct {
	Schema schema `json:"schema"`
}

type operation struct {
	ID          string `json:"operationId"`
	Summary     string `json:"summary"`
	Text        string `json:"description"`
	Parameters  []struct{ Name, In, Description string }
	RequestBody *struct {
		Required bool
		Content  content
	}
	Responses map[string]struct {
		Ref     string `json:"$ref"`
		Content content
	}
}

type openapi struct {
	OpenAPI    string                          `json:"openapi"`
	Paths      map[string]map[string]operation `json:"paths"`
	Components struct {
		Schemas map[string]schema `json:"schemas"`
	} `json:"components"`
}

func readDescription(t *testing.T) openapi {
	t.Helper()
	var o openapi
	if err := json.Unmarshal(description, &o); err != nil {
		t.Fatal(err)
	}
	return o
}

// jsonField is a field's name in JSON and whether it is always there.
func jsonField(f reflect.StructField) (name string, always bool) {
	name, rest, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name, !strings.Contains(rest, "omit")
}

// described gives the schema that a Go type should have, with its structs by
// reference; it collects those in all.
func described(t reflect.Type, all map[string]schema) schema {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return schema{Type: "string", Format: "date-time"}
	case t.Kind() == reflect.Pointer:
		return described(t.Elem(), all)
	case t.Kind() == reflect.Slice:
		items := described(t.Elem(), all)
		return schema{Type: "array", Items: &items}
	case t.Kind() == reflect.String:
		return schema{Type: "string"}
	case t.Kind() == reflect.Bool:
		return schema{Type: "boolean"}
	case t.Kind() >= reflect.Int && t.Kind() <= reflect.Uint64:
		return schema{Type: "integer"}
	case t.Kind() == reflect.Struct:
		s := schema{Type: "object", Properties: map[string]schema{}}
		for i := range t.NumField() {
			name, always := jsonField(t.Field(i))
			s.Properties[name] = described(t.Field(i).Type, all)
			if always {
				s.Required = append(s.Required, name)
			}
		}
		all[t.Name()] = s
		return schema{Ref: "#/components/schemas/" + t.Name()}
	}
	return schema{Type: "unknown " + t.String()}
}

// shape is what of a schema must agree, as text; words are the file's own.
func shape(s schema) string {
	required := slices.Sorted(slices.Values(s.Required))
	text := fmt.Sprintf("%s %s %s required=%v", s.Ref, s.Type, s.Format, required)
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		text += "\n  " + name + ": " + shape(s.Properties[name])
	}
	if s.Items != nil {
		text += " of " + shape(*s.Items)
	}
	return text
}

// The description and the code say the same, both ways: addresses, methods,
// parameters, bodies and every field.
func TestDescriptionMatchesTheCode(t *testing.T) {
	file := readDescription(t)
	s := &Server{o: Options{Cache: &fakeCache{}, Gather: func(func(Metric)) {}, Log: slog.New(slog.DiscardHandler)}}
	types := map[string]schema{}
	described(reflect.TypeFor[Problem](), types)
	paths := map[string]bool{}
	for _, e := range s.endpoints() {
		path := strings.TrimSuffix(e.path, "{$}")
		paths[path] = true
		op, ok := file.Paths[path][strings.ToLower(e.method)]
		if !ok || len(file.Paths[path]) != 1 {
			t.Errorf("%s %s: the file has %d methods, want this one", e.method, path, len(file.Paths[path]))
			continue
		}
		compareOperation(t, e, op, types)
	}
	for path := range file.Paths {
		if !paths[path] {
			t.Errorf("%s is in the file only", path)
		}
	}
	for name, want := range types {
		if got, ok := file.Components.Schemas[name]; !ok || shape(got) != shape(want) {
			t.Errorf("schema %s: the file has\n%s\nthe code\n%s", name, shape(got), shape(want))
		}
	}
	for name := range file.Components.Schemas {
		if _, ok := types[name]; !ok {
			t.Errorf("schema %s is in the file only", name)
		}
	}
}

func compareOperation(t *testing.T, e endpoint, op operation, types map[string]schema) {
	t.Helper()
	var params []string
	for _, p := range op.Parameters {
		params = append(params, p.Name)
		if p.In != "query" || p.Description == "" {
			t.Errorf("%s: parameter %s is in %q and described as %q", e.path, p.Name, p.In, p.Description)
		}
	}
	if !slices.Equal(params, e.params) {
		t.Errorf("%s: the file has parameters %v, the code %v", e.path, params, e.params)
	}
	if op.ID == "" || op.Summary == "" || op.Text == "" {
		t.Errorf("%s: no id, summary or description", e.path)
	}
	if (op.RequestBody != nil) != (e.takes != nil) {
		t.Errorf("%s: request body in the file %v, in the code %v", e.path, op.RequestBody != nil, e.takes != nil)
	} else if e.takes != nil {
		compareBody(t, e.path+" request", op.RequestBody.Content, e.takes, types)
	}
	if op.Responses["default"].Ref != "#/components/responses/Problem" || len(op.Responses) != 2 {
		t.Errorf("%s: responses are not 200 and a problem: %v", e.path, op.Responses)
	}
	compareBody(t, e.path+" response", op.Responses["200"].Content, e.gives, types)
}

func compareBody(t *testing.T, what string, c content, value any, types map[string]schema) {
	t.Helper()
	if len(c) != 1 {
		t.Errorf("%s: %d content types", what, len(c))
		return
	}
	if value == nil {
		return
	}
	for _, body := range c {
		if want := described(reflect.TypeOf(value), types); shape(body.Schema) != shape(want) {
			t.Errorf("%s: the file says %s, the code %s", what, shape(body.Schema), shape(want))
		}
	}
}

// Everything in the description is explained.
func TestDescriptionExplains(t *testing.T) {
	file := readDescription(t)
	if !strings.HasPrefix(file.OpenAPI, "3.1.") {
		t.Errorf("version %q", file.OpenAPI)
	}
	for name, s := range file.Components.Schemas {
		if s.Text == "" {
			t.Errorf("%s has no description", name)
		}
		for field, p := range s.Properties {
			if p.Text == "" && p.Ref == "" {
				t.Errorf("%s.%s has no description", name, field)
			}
		}
	}
}

// A difference of any kind is found: else the comparison would prove nothing.
func TestComparisonOfSchemas(t *testing.T) {
	type sample struct {
		A string    `json:"a"`
		B []int     `json:"b,omitempty"`
		C time.Time `json:"c,omitzero"`
	}
	all := map[string]schema{}
	described(reflect.TypeFor[sample](), all)
	good := `{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"array","items":{"type":"integer"}},"c":{"type":"string","format":"date-time"}},"required":["a"]}`
	for _, change := range [][2]string{
		{``, ``}, {`"a":{"type":"string"}`, `"x":{"type":"string"}`}, {`"a":{"type":"string"}`, `"a":{"type":"integer"}`}, {`"integer"`, `"string"`},
		{`,"format":"date-time"`, ``}, {`"required":["a"]`, `"required":["a","b"]`}, {`,"required":["a"]`, ``}, {`"c":{`, `"d":{"type":"string"},"c":{`},
	} {
		var s schema
		if err := json.Unmarshal([]byte(strings.Replace(good, change[0], change[1], 1)), &s); err != nil {
			t.Fatal(err)
		}
		if same := shape(s) == shape(all["sample"]); same != (change[0] == "") {
			t.Errorf("%s in place of %s: same is %v", change[1], change[0], same)
		}
	}
}
