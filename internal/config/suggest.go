package config

import (
	"strconv"
	"strings"
)

// lookup finds a row of the table, nil for none.
func lookup(key string) *Option {
	for i := range table {
		if table[i].Key == key {
			return &table[i]
		}
	}
	return nil
}

// keysAt lists the keys right below a prefix ("", "cache.", "forward[].") in
// the order of the table.
func keysAt(prefix string) []string {
	var names []string
	seen := map[string]bool{}
	for i := range table {
		rest, ok := strings.CutPrefix(table[i].Key, prefix)
		if !ok {
			continue
		}
		if end := strings.IndexAny(rest, ".["); end >= 0 {
			rest = rest[:end]
		}
		if !seen[rest] {
			seen[rest] = true
			names = append(names, rest)
		}
	}
	return names
}

// suggest says what an unknown key was probably meant to be: a key of this
// level, the same key elsewhere, or a similar one elsewhere.
func suggest(prefix, key string) string {
	here := keysAt(prefix)
	ask := func(found string) string { return "did you mean " + strconv.Quote(found) + "?" }
	if near := nearest(key, here, 1+len(key)/5); near != "" {
		return ask(near)
	}
	if path := elsewhere(key, 0); path != "" {
		return ask(path)
	}
	if path := elsewhere(key, 1+len(key)/8); path != "" {
		return ask(path)
	}
	return "keys here are " + strings.Join(here, ", ")
}

// elsewhere finds the path of the key whose last part is nearest.
func elsewhere(key string, most int) string {
	best, path := most+1, ""
	for i := range table {
		full := table[i].Key
		last := full[strings.LastIndexByte(full, '.')+1:]
		if d := distance(normal(key), last, best); d < best {
			best, path = d, full
		}
	}
	return path
}

// nearest finds the word that is at most so many edits away, "" for none.
func nearest(word string, words []string, most int) string {
	best, found := most+1, ""
	for _, w := range words {
		if d := distance(normal(word), w, best); d < best {
			best, found = d, w
		}
	}
	return found
}

// normal writes a key as this file does: lower case, hyphens.
func normal(key string) string {
	return strings.ReplaceAll(strings.ToLower(key), "_", "-")
}

// distance counts the edits (insert, delete, replace, swap of neighbours)
// between two words, octet by octet; it may stop at the given bound.
func distance(a, b string, bound int) int {
	if len(a)-len(b) >= bound || len(b)-len(a) >= bound {
		return bound
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j]+cost, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
