package config

import (
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// TestOneRowPerField proves that table and Config say the same: each field has
// exactly one row, each row a field of its own.
func TestOneRowPerField(t *testing.T) {
	rows := func(root any, ours func(*Option) bool) map[string]string {
		at := map[string]string{} // address and type of a field -> key
		for i := range table {
			o := &table[i]
			if !ours(o) {
				continue
			}
			field := reflect.ValueOf(o.field(root))
			where := place(field)
			if other, twice := at[where]; twice {
				t.Errorf("%s and %s fill the same field", other, o.Key)
			}
			at[where] = o.Key
		}
		return at
	}
	root := new(Config)
	at := rows(root, func(o *Option) bool { _, item := o.itemOf(); return !item })
	walk(t, "Config", reflect.ValueOf(root), at)
	for where, key := range at {
		t.Errorf("row %s has no field of Config at %s", key, where)
	}
	for i := range table {
		list := &table[i]
		if !list.isItems() {
			continue
		}
		item := newItem(list.Key)
		at := rows(item, func(o *Option) bool { l, ok := o.itemOf(); return ok && l == list.Key })
		walk(t, list.Key+" item", reflect.ValueOf(item), at)
		for where, key := range at {
			t.Errorf("row %s has no field at %s", key, where)
		}
	}
}

// place identifies a field; the type tells a struct from its first field.
func place(p reflect.Value) string {
	return p.Type().String() + "@" + strconv.FormatUint(uint64(p.Pointer()), 16)
}

// walk removes every field that has a row, goes into structs without one, and
// fails on all else.
func walk(t *testing.T, path string, p reflect.Value, at map[string]string) {
	t.Helper()
	if where := place(p); at[where] != "" {
		delete(at, where)
		return
	}
	if p.Elem().Kind() != reflect.Struct {
		t.Errorf("%s has no row in the table", path)
		return
	}
	for i := range p.Elem().NumField() {
		walk(t, path+"."+p.Elem().Type().Field(i).Name, p.Elem().Field(i).Addr(), at)
	}
}

// document writes one value into a file by itself, with what an item needs.
func document(o *Option, value string) string {
	if list, ok := o.itemOf(); ok {
		item := map[string]string{}
		for _, name := range keysAt(list + "[].") {
			if key := lookup(list + "[]." + name); key.Required {
				item[name] = key.sample()
			}
		}
		item[strings.TrimPrefix(o.Key, list+"[].")] = value
		var fields []string
		for name, v := range item {
			fields = append(fields, name+": "+v)
		}
		return document(lookup(list), "[{"+strings.Join(fields, ", ")+"}]")
	}
	parts := strings.Split(o.Key, ".")
	text := parts[len(parts)-1] + ": " + value
	for i := len(parts) - 2; i >= 0; i-- {
		text = parts[i] + ": {" + text + "}"
	}
	return text
}

// laterKey tells whether the option or the list around it is not built yet.
func laterKey(o *Option) bool {
	list, ok := o.itemOf()
	return o.NotYet || ok && lookup(list).NotYet
}

func TestRows(t *testing.T) {
	for i := range table {
		o := &table[i]
		if o.Help == "" || !strings.HasSuffix(o.Help, ".") {
			t.Errorf("%s: help %q is no sentence", o.Key, o.Help)
		}
		if o.Default == "" && !o.Required && !strings.Contains(o.Key, "[].") {
			t.Errorf("%s has no default", o.Key)
		}
		checkBounds(t, o)
		for _, value := range o.Examples {
			_, err := Parse("row", []byte(document(o, value)+"\n"))
			if laterKey(o) {
				wantNotYet(t, document(o, value), err)
			} else if err != nil {
				t.Errorf("%s: example %s: %v", o.Key, value, err)
			}
		}
		for _, value := range o.Later {
			switch o.blank().(type) {
			case *[]Endpoint:
				value = `["` + value + `://192.0.2.1"]`
			}
			_, err := Parse("row", []byte(document(o, value)+"\n"))
			wantNotYet(t, document(o, value), err)
		}
		if o.NotYet {
			_, err := Parse("row", []byte(document(o, `["x"]`)))
			wantNotYet(t, document(o, `["x"]`), err)
		}
	}
}

func wantNotYet(t *testing.T, doc string, err error) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), "not in this version") {
		t.Errorf("%s: %v; want it to be not in this version", doc, err)
	}
}

// checkBounds wants readable bounds with the default between them.
func checkBounds(t *testing.T, o *Option) {
	t.Helper()
	measure := map[string]func(string) (int64, bool){
		"whole number":     func(s string) (int64, bool) { n, bad := parseInt(s); return int64(n), bad == nil },
		"size":             func(s string) (int64, bool) { n, bad := parseSize(s); return int64(n), bad == nil },
		"duration":         func(s string) (int64, bool) { n, bad := parseDuration(s); return int64(n), bad == nil },
		"auto or duration": func(s string) (int64, bool) { n, bad := parseDuration(s); return int64(n), bad == nil },
	}[o.Type()]
	if measure == nil {
		if o.Min != "" || o.Max != "" || o.Unit != "" {
			t.Errorf("%s: %s has no bounds or units", o.Key, o.Type())
		}
		return
	}
	low, ok := measure(o.Min)
	high, ok2 := measure(o.Max)
	if !ok || !ok2 || low >= high {
		t.Errorf("%s: bounds %q to %q", o.Key, o.Min, o.Max)
	}
	for _, far := range []string{o.Min, o.Max} {
		doc := document(o, far)
		if _, err := Parse("row", []byte(doc)); err != nil && !laterKey(o) && !strings.Contains(err.Error(), "longer than") {
			t.Errorf("%s: bound refused: %v", doc, err)
		}
	}
}

// TestDefaultsArePlain guards the YAML text of the table: a default has to mean
// in a file what it means in the table.
func TestDefaultsArePlain(t *testing.T) {
	for i := range table {
		o := &table[i]
		if o.Default == "" {
			continue
		}
		var doc yaml.Node
		if err := yaml.Unmarshal([]byte("key: "+o.Default+"\n"), &doc); err != nil {
			t.Errorf("%s: default %s: %v", o.Key, o.Default, err)
		}
		if laterKey(o) {
			continue
		}
		got, err := Parse("row", []byte(document(o, o.Default)))
		if err != nil {
			t.Errorf("%s: default refused: %v", o.Key, err)
			continue
		}
		if _, item := o.itemOf(); !item && !reflect.DeepEqual(got, Default()) {
			t.Errorf("%s: writing the default changes the configuration", o.Key)
		}
	}
}

func TestDefaultsOfThisVersion(t *testing.T) {
	c := Default()
	if !c.DNSSEC.Validation || len(c.DNSSEC.TrustAnchors) > 0 {
		t.Error("answers are not validated from the built-in root anchors by default")
	}
	if !c.Stale.Enabled || !c.Recursion.Prefetch || c.Cache.Snapshot != "auto" || c.Cache.SnapshotInterval != time.Minute {
		t.Error("something that keeps good answers is off by default")
	}
	if got := c.Listen[0].String(); got != "dns://127.0.0.1:5300" {
		t.Errorf("listens on %s", got)
	}
	if c.Limits.UpstreamQueries != 50 || c.Limits.ResolutionDeadline != 10*time.Second || c.Cache.Size != 256<<20 ||
		c.Cache.MaxTTL != 7*24*time.Hour || c.Limits.UDPSize != 1232 || !c.Stale.ClientTimeout.Auto {
		t.Errorf("defaults are not those of the documentation: %+v", c)
	}
	if a, b := Default(), Default(); &a.Listen[0] == &b.Listen[0] {
		t.Error("two defaults share memory")
	}
}
