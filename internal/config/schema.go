package config

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"

	"lastgood/internal/dnsname"
	"lastgood/internal/rrset"
)

// object is a JSON object of the schema.
type object = map[string]any

// Schema returns the JSON Schema (2020-12) of the configuration file, for
// editors. It is a little more generous than the parser, which also compares
// keys with each other.
func Schema() ([]byte, error) {
	root, err := schemaLevel("")
	if err != nil {
		return nil, err
	}
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "lastgood configuration"
	text, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write schema: %w", err)
	}
	return append(text, '\n'), nil
}

// schemaLevel describes the keys below a prefix.
func schemaLevel(prefix string) (object, error) {
	properties := object{}
	var required []string
	for _, name := range keysAt(prefix) {
		o := lookup(prefix + name)
		var s object
		var err error
		if o == nil {
			s, err = schemaLevel(prefix + name + ".")
			if err == nil {
				s["type"] = []string{"object", "null"}
			}
		} else {
			s, err = o.schema()
			if o.Required {
				required = append(required, name)
			}
		}
		if err != nil {
			return nil, err
		}
		properties[name] = s
	}
	level := object{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		level["required"] = required
	}
	return level, nil
}

// schema describes one option.
func (o *Option) schema() (object, error) {
	s, err := o.schemaType()
	if err != nil {
		return nil, err
	}
	s["description"] = o.describe()
	if o.Default != "" {
		var v any
		if err := yaml.Unmarshal([]byte(o.Default), &v); err != nil {
			return nil, fmt.Errorf("default of %s: %w", o.Key, err)
		}
		s["default"] = v
	}
	switch {
	case o.NotYet && s["type"] == "array":
		s["maxItems"] = 0
	case o.NotYet:
		s["not"] = object{}
	}
	return s, nil
}

// schemaType describes the form of the value.
func (o *Option) schemaType() (object, error) {
	text := object{"type": "string"}
	switch o.blank().(type) {
	case *bool:
		s := object{"type": "boolean"}
		if len(o.Later) > 0 {
			s["const"] = o.Later[0] != "true"
		}
		return s, nil
	case *int:
		low, err := strconv.Atoi(o.Min)
		if err != nil {
			return nil, fmt.Errorf("bound of %s: %w", o.Key, err)
		}
		high, err := strconv.Atoi(o.Max)
		if err != nil {
			return nil, fmt.Errorf("bound of %s: %w", o.Key, err)
		}
		return object{"type": "integer", "minimum": low, "maximum": high}, nil
	case *Size:
		return object{"type": "string", "pattern": sizePattern}, nil
	case *time.Duration:
		return object{"type": "string", "pattern": durationPattern}, nil
	case *Timeout:
		return object{"anyOf": []object{{"const": "auto"}, {"type": "string", "pattern": durationPattern}}}, nil
	case *string:
		if len(o.Values) > 0 {
			return object{"enum": o.Values}, nil
		}
		return text, nil
	case *time.Time:
		return object{"anyOf": []object{{"const": ""}, {"type": "string", "format": "date-time"}}}, nil
	case *dnsname.Name, *ControlAddr:
		return text, nil
	case *[]netip.Prefix, *[]Endpoint, *[]RootSource, *[]dnsname.Name, *[]string, *[]rrset.Set:
		return object{"type": "array", "items": text}, nil
	default:
		items, err := schemaLevel(o.Key + "[].")
		return object{"type": "array", "items": items}, err
	}
}
