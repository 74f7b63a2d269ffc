package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"lastgood/internal/dnsname"
	"lastgood/internal/rrset"
)

// reader fills a Config from YAML nodes and collects what is wrong.
type reader struct {
	file  string
	cfg   *Config
	errs  []*Error
	given map[string]*yaml.Node   // by key: the values that the file has
	items map[string][]*yaml.Node // by key of a list of mappings: its items
}

// fail notes a mistake at a node.
func (r *reader) fail(at *yaml.Node, key string, p *problem) {
	r.errs = append(r.errs, &Error{File: r.file, Line: at.Line, Column: at.Column, Key: key, Msg: p.msg, Hint: p.hint})
}

// plain refuses what would make one part of the file stand for another.
func (r *reader) plain(n *yaml.Node, key string) bool {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		r.fail(n, key, &problem{"anchors (&) and aliases (*) are not supported", "write the value itself, in quotes if it begins with & or *"})
	case n.Style&yaml.TaggedStyle != 0:
		r.fail(n, key, &problem{"tags (!) are not supported", "write the value itself, in quotes if it begins with !"})
	default:
		return true
	}
	return false
}

// mapping reads the keys below a prefix: "" or "cache." into the Config,
// "forward[]." into an item.
func (r *reader) mapping(prefix string, target any, n *yaml.Node) {
	if name := strings.TrimSuffix(prefix, "."); !r.plain(n, name) {
		return
	} else if n.Kind != yaml.MappingNode {
		if isNull(n) && !strings.HasSuffix(prefix, "[].") {
			return // a section whose keys are all commented out
		}
		r.fail(n, name, &problem{"has to hold keys, not " + kindOf(n), "write one below the other: " + strings.Join(keysAt(prefix), ", ")})
		return
	}
	found := r.keys(prefix, n)
	for _, name := range keysAt(prefix) {
		value := found[name]
		o := lookup(prefix + name)
		switch {
		case value == nil && o != nil && o.Required:
			r.fail(n, o.Key, &problem{"is missing", ""})
		case value == nil:
		case o == nil:
			r.mapping(prefix+name+".", target, value)
		default:
			r.option(o, o.field(target), value)
		}
	}
}

// keys collects the values of a mapping by key, without those that are unknown
// or there twice.
func (r *reader) keys(prefix string, n *yaml.Node) map[string]*yaml.Node {
	known := keysAt(prefix)
	found := make(map[string]*yaml.Node, len(known))
	lines := make(map[string]int, len(known))
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if !r.plain(key, "") {
			continue
		}
		line, twice := lines[key.Value]
		switch {
		case key.Kind != yaml.ScalarNode:
			r.fail(key, "", &problem{"a key has to be a word, not " + kindOf(key), ""})
		case !slices.Contains(known, key.Value):
			r.fail(key, "", &problem{"unknown key " + quote(key.Value), suggest(prefix, key.Value)})
		case twice:
			r.fail(key, "", &problem{"duplicate key " + quote(key.Value), fmt.Sprintf("it is already on line %d", line)})
		default:
			found[key.Value], lines[key.Value] = n.Content[i+1], key.Line
		}
	}
	return found
}

// option reads the value of one key.
func (r *reader) option(o *Option, field any, n *yaml.Node) {
	if !r.plain(n, o.Key) {
		return
	}
	if isNull(n) {
		r.fail(n, o.Key, &problem{"has no value", "write one (default: " + o.defaultText() + ") or delete the line"})
		return
	}
	if o.NotYet && (n.Kind != yaml.SequenceNode || len(n.Content) > 0) {
		r.fail(n, o.Key, &problem{notYet, "delete it"})
		return
	}
	if _, ok := o.itemOf(); !ok {
		r.given[o.Key] = n
	}
	r.value(o, field, n)
}

// value decodes a node into the field of an option by the field's type.
func (r *reader) value(o *Option, field any, n *yaml.Node) {
	switch p := field.(type) {
	case *bool:
		scalar(r, o, p, n, allowed(o, parseBool))
	case *int:
		scalar(r, o, p, n, ranged(o, parseInt))
	case *Size:
		scalar(r, o, p, n, ranged(o, parseSize))
	case *time.Duration:
		scalar(r, o, p, n, ranged(o, parseDuration))
	case *Timeout:
		scalar(r, o, p, n, o.parseTimeout)
	case *string:
		scalar(r, o, p, n, o.parseString)
	case *time.Time:
		scalar(r, o, p, n, o.parseTime)
	case *dnsname.Name:
		scalar(r, o, p, n, parseName)
	case *ControlAddr:
		scalar(r, o, p, n, parseControl)
	case *[]netip.Prefix:
		list(r, o, p, n, parsePrefix)
	case *[]dnsname.Name:
		list(r, o, p, n, parseName)
	case *[]string:
		list(r, o, p, n, o.parseString)
	case *[]rrset.Set:
		list(r, o, p, n, parseRecord)
	case *[]Endpoint:
		list(r, o, p, n, o.parseEndpoint)
	case *[]RootSource:
		list(r, o, p, n, o.parseRootSource)
	case *[]StaleZone:
		mappings(r, o, p, n, StaleZone{StalePolicy: r.cfg.Stale.StalePolicy})
	case *[]NegativeTrustAnchor:
		mappings(r, o, p, n, NegativeTrustAnchor{})
	case *[]Forward:
		mappings(r, o, p, n, Forward{Cache: true})
	case *[]Stub:
		mappings(r, o, p, n, Stub{Cache: true})
	case *[]LocalZone:
		mappings(r, o, p, n, LocalZone{})
	default:
		panic(fmt.Sprintf("config: no parser for %s (%T)", o.Key, field))
	}
}

// scalar reads one value.
func scalar[T any](r *reader, o *Option, field *T, n *yaml.Node, parse func(string) (T, *problem)) {
	if n.Kind != yaml.ScalarNode {
		r.fail(n, o.Key, &problem{"takes one value (" + o.Type() + "), not " + kindOf(n), "write one such as " + o.sample()})
		return
	}
	v, bad := parse(n.Value)
	if bad != nil {
		r.fail(n, o.Key, bad)
		return
	}
	*field = v
}

// list reads a list of values, and takes the place of the default one.
func list[T any](r *reader, o *Option, field *[]T, n *yaml.Node, parse func(string) (T, *problem)) {
	if n.Kind != yaml.SequenceNode {
		remedy := "write " + o.sample()
		if n.Kind == yaml.ScalarNode {
			remedy = "write [" + quote(n.Value) + "]"
		}
		r.fail(n, o.Key, &problem{"is a list, not " + kindOf(n), remedy})
		return
	}
	values := make([]T, 0, len(n.Content))
	for _, item := range n.Content {
		if !r.plain(item, o.Key) {
			continue
		}
		if isNull(item) || item.Kind != yaml.ScalarNode {
			r.fail(item, o.Key, &problem{"an item has to be one value, not " + kindOf(item), "write a list such as " + o.sample()})
			continue
		}
		v, bad := parse(item.Value)
		if bad != nil {
			r.fail(item, o.Key, bad)
			continue
		}
		values = append(values, v)
	}
	*field = values
}

// mappings reads a list of mappings; each item begins as a copy of start.
func mappings[T any](r *reader, o *Option, field *[]T, n *yaml.Node, start T) {
	if n.Kind != yaml.SequenceNode {
		r.fail(n, o.Key, &problem{"is a list, not " + kindOf(n), "write each item with a hyphen: - " + strings.Join(keysAt(o.Key+"[]."), ": …, ") + ": …"})
		return
	}
	values := make([]T, 0, len(n.Content))
	for _, item := range n.Content {
		v := start
		r.mapping(o.Key+"[].", &v, item)
		values = append(values, v)
	}
	*field = values
	r.items[o.Key] = n.Content
}

// ranged adds the option's bounds to a parser.
func ranged[T ~int | ~int64](o *Option, parse func(string) (T, *problem)) func(string) (T, *problem) {
	return func(text string) (T, *problem) {
		v, bad := parse(text)
		if bad != nil {
			return v, bad
		}
		low, _ := parse(o.Min) // the table's own values are tested
		high, _ := parse(o.Max)
		if v < low || v > high {
			return v, &problem{text + " is out of range", strings.TrimSpace("allowed are " + o.Min + " to " + o.Max + " " + o.Unit)}
		}
		return v, nil
	}
}

// allowed adds what this version refuses to a parser of booleans.
func allowed(o *Option, parse func(string) (bool, *problem)) func(string) (bool, *problem) {
	return func(text string) (bool, *problem) {
		v, bad := parse(text)
		switch {
		case bad == nil && slices.Contains(o.Later, strconv.FormatBool(v)):
			bad = &problem{strconv.FormatBool(v) + " is " + notYet, "write " + o.Default}
		case bad != nil && len(o.Later) > 0:
			bad.hint = "write " + o.Default
		}
		return v, bad
	}
}

// parseString takes any text, or one of the option's values.
func (o *Option) parseString(text string) (string, *problem) {
	if o.check != nil {
		if bad := o.check(text); bad != nil {
			return text, bad
		}
	}
	remedy := "write " + strings.Join(o.Values, ", ")
	switch {
	case len(o.Values) == 0 || slices.Contains(o.Values, text):
		return text, nil
	case slices.Contains(o.Later, text):
		return text, &problem{quote(text) + " is " + notYet, remedy}
	}
	if near := nearest(text, o.Values, 2); near != "" {
		remedy = "did you mean " + strconv.Quote(near) + "? Allowed are " + strings.Join(o.Values, ", ")
	} else if len(o.Values) > 1 {
		remedy = "write one of " + strings.Join(o.Values, ", ")
	}
	if len(o.Later) > 0 {
		remedy += " (" + strings.Join(o.Later, ", ") + ": " + notYet + ")"
	}
	return text, &problem{quote(text) + " is not allowed", remedy}
}

// parseTimeout takes "auto" or a duration.
func (o *Option) parseTimeout(text string) (Timeout, *problem) {
	if text == "auto" {
		return Timeout{Auto: true}, nil
	}
	d, bad := ranged(o, parseDuration)(text)
	if bad != nil && !strings.HasPrefix(bad.hint, "write "+text) {
		bad.hint += ", or auto"
	}
	return Timeout{Fixed: d}, bad
}

// parseTime takes RFC 3339; nothing where the key may be left out.
func (o *Option) parseTime(text string) (time.Time, *problem) {
	if text == "" && !o.Required {
		return time.Time{}, nil
	}
	return parseTime(text)
}

// sample is a value of the right form, as YAML text.
func (o *Option) sample() string {
	if len(o.Examples) > 0 {
		return o.Examples[0]
	}
	return o.defaultText()
}

// defaultText is the default for people.
func (o *Option) defaultText() string {
	switch {
	case o.Default != "":
		return o.Default
	case o.Required:
		return "none"
	default:
		return "as the general setting"
	}
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// kindOf names what stands at a node.
func kindOf(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case isNull(n):
		return "nothing"
	default:
		return "a single value"
	}
}

// fillDefaults sets every field to the default of the table.
func fillDefaults(c *Config) {
	r := &reader{file: "table", cfg: c, items: map[string][]*yaml.Node{}}
	for i := range table {
		o := &table[i]
		if _, ok := o.itemOf(); ok {
			continue
		}
		var doc yaml.Node
		if err := yaml.Unmarshal([]byte(o.Default), &doc); err != nil || len(doc.Content) == 0 {
			panic("config: default of " + o.Key)
		}
		r.value(o, o.field(c), doc.Content[0])
	}
	if err := joined(r.errs); err != nil {
		panic("config: " + err.Error())
	}
}
