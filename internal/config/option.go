package config

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"lastgood/internal/dnsname"
	"lastgood/internal/rrset"
)

// Option is one row of the option table: all there is to say about a key.
// Values are written as in the file.
type Option struct {
	// Key is the path, "cache.max-ttl". "forward[].zone" is a key of each item
	// of the list "forward".
	Key string
	// Default is YAML text. "" means, in a list item, that the key is required
	// or that the general setting holds.
	Default string
	// Min and Max bound numbers, durations and sizes, both included.
	Min, Max string
	// Unit says what a plain number counts.
	Unit string
	// Values are all that is allowed, of an endpoint the schemes; empty when
	// the type says enough.
	Values []string
	// Later are values that are known but not in this version.
	Later []string
	// NotYet says that nothing but an empty list is accepted in this version.
	NotYet bool
	// Required keys have to be in each item of a list.
	Required bool
	// RFC names the clause behind the option.
	RFC string
	// Help says what the option does, in one or a few sentences.
	Help string
	// Examples are values as YAML text, other than the default.
	Examples []string

	hosts bool                  // endpoints may be host names
	check func(string) *problem // of each string; nil without
	field func(any) any         // the struct that holds the key -> pointer to its field
}

// in makes the field function of a row.
func in[S, F any](at func(*S) *F) func(any) any {
	return func(s any) any { return at(s.(*S)) }
}

// Type names the type of the option's value for people.
func (o *Option) Type() string {
	switch o.blank().(type) {
	case *bool:
		return "true or false"
	case *int:
		return "whole number"
	case *Size:
		return "size"
	case *time.Duration:
		return "duration"
	case *Timeout:
		return "auto or duration"
	case *time.Time:
		return "time"
	case *dnsname.Name:
		return "domain name"
	case *ControlAddr:
		return "address or socket"
	case *[]netip.Prefix:
		return "list of prefixes"
	case *[]Endpoint:
		return "list of servers"
	case *[]RootSource:
		return "list of servers, URLs and files"
	case *[]dnsname.Name:
		return "list of domain names"
	case *[]rrset.Set:
		return "list of records"
	case *[]string:
		return "list of strings"
	case *string:
		if len(o.Values) > 0 {
			return "one of " + strings.Join(slices.Concat(o.Values, o.Later), ", ")
		}
		return "string"
	default:
		return "list of mappings"
	}
}

// blank returns a pointer to a fresh value of the field's type.
func (o *Option) blank() any {
	item, ok := o.itemOf()
	if !ok {
		return o.field(new(Config))
	}
	return o.field(newItem(item))
}

// itemOf names the list whose items hold the key.
func (o *Option) itemOf() (list string, ok bool) {
	list, _, ok = strings.Cut(o.Key, "[].")
	return list, ok
}

// newItem makes an empty item of a list of mappings.
func newItem(list string) any {
	for i := range table {
		if table[i].Key != list {
			continue
		}
		switch table[i].field(new(Config)).(type) {
		case *[]StaleZone:
			return new(StaleZone)
		case *[]NegativeTrustAnchor:
			return new(NegativeTrustAnchor)
		case *[]Forward:
			return new(Forward)
		case *[]Stub:
			return new(Stub)
		case *[]LocalZone:
			return new(LocalZone)
		}
	}
	return nil
}

// isItems tells whether the option is a list of mappings.
func (o *Option) isItems() bool {
	return slices.ContainsFunc(table, func(other Option) bool { return strings.HasPrefix(other.Key, o.Key+"[].") })
}

// notYet is what is said of everything that is known but not built.
const notYet = "not in this version"
