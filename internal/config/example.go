package config

import "strings"

// Example returns a complete configuration file: every key with its help, set
// to its default. What is not in this version is commented out. Parsing it
// gives [Default].
func Example() string {
	var b strings.Builder
	b.WriteString("# Configuration of lastgood. Every key is optional; these are the defaults.\n" +
		"# Durations and sizes carry units: 500ms, 30s, 1h30m, 7d; 64KiB, 256MiB, 1GB.\n")
	exampleLevel(&b, "", "")
	return b.String()
}

// exampleLevel writes the keys below a prefix. A section whose keys are all
// commented out is an empty section, which is allowed.
func exampleLevel(b *strings.Builder, prefix, indent string) {
	for _, name := range keysAt(prefix) {
		o := lookup(prefix + name)
		if prefix == "" {
			b.WriteString("\n")
		}
		if o == nil {
			b.WriteString(indent + name + ":\n")
			exampleLevel(b, prefix+name+".", indent+"  ")
			continue
		}
		comment(b, indent, o.describe())
		switch {
		case o.NotYet:
			b.WriteString(indent + "# " + name + ": " + o.Default + "\n")
		case o.isItems():
			b.WriteString(indent + name + ": " + o.Default + "\n")
			exampleItem(b, o, indent)
		default:
			b.WriteString(indent + name + ": " + o.Default + "\n")
		}
	}
}

// exampleItem writes one item of a list of mappings, commented out.
func exampleItem(b *strings.Builder, o *Option, indent string) {
	b.WriteString(indent + "# For instance:\n" + indent + "# " + o.Key[strings.LastIndexByte(o.Key, '.')+1:] + ":\n")
	lead := "  - "
	for _, name := range keysAt(o.Key + "[].") {
		key := lookup(o.Key + "[]." + name)
		line := indent + "# " + lead + name + ": " + key.sample()
		if key.Required || key.Default != "" { // else it is explained above
			line += "   # " + key.Help
		}
		b.WriteString(line + "\n")
		lead = "    "
	}
}

// describe tells all about an option in a few sentences.
func (o *Option) describe() string {
	parts := []string{o.Help}
	kind := o.Type()
	switch {
	case o.Min != "":
		parts = append(parts, strings.TrimSpace(upperFirst(kind)+", "+o.Min+" to "+o.Max+" "+o.Unit)+".")
	case len(o.Values) > 0 && strings.HasPrefix(kind, "one of "):
		parts = append(parts, upperFirst(kind)+".")
	}
	if o.RFC != "" {
		parts = append(parts, o.RFC+".")
	}
	switch {
	case o.NotYet:
		parts = append(parts, "Not in this version.")
	case len(o.Later) > 0:
		parts = append(parts, "Not in this version: "+strings.Join(o.Later, ", ")+".")
	}
	if len(o.Examples) > 0 && kind != "true or false" {
		parts = append(parts, "For instance "+strings.Join(o.Examples, " or ")+".")
	}
	return strings.Join(parts, " ")
}

// upperFirst begins a sentence with an ASCII word.
func upperFirst(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// comment writes text in lines that begin with "# ".
func comment(b *strings.Builder, indent, text string) {
	const width = 96
	line := indent + "#"
	for _, word := range strings.Fields(text) {
		if len(line)+1+len(word) > width && line != indent+"#" {
			b.WriteString(line + "\n")
			line = indent + "#"
		}
		line += " " + word
	}
	b.WriteString(line + "\n")
}
