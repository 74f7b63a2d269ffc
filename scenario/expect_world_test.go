package scenario

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"lastgood/internal/event"
	"lastgood/internal/simauth"
)

// Expectations about what the resolver did, not about a reply.

func checkUpstream(o *outcome, rest []string) error {
	if err := number("upstream queries", len(o.queries), rest[0]); err != nil {
		return fmt.Errorf("%w:%s", err, listed(o.queries))
	}
	return nil
}

// listed is queries one a line, the first of many.
func listed(qs []query) string {
	var b strings.Builder
	for _, q := range qs[:min(len(qs), 60)] {
		fmt.Fprintf(&b, "\n%12v  %s", q.at, q)
	}
	return b.String()
}

func checkQueries(o *outcome, rest []string) error {
	words := strings.Fields(rest[0])
	if len(words) < 2 || len(words) > 4 {
		return errors.New("want: queries SERVER [NAME [TYPE]] COUNT")
	}
	fits := func(i int, text string) bool {
		return i >= len(words)-1 || words[i] == "*" || strings.EqualFold(words[i], text)
	}
	n := 0
	for _, q := range o.queries {
		if fits(0, q.server) && fits(1, q.name) && fits(2, q.typ) {
			n++
		}
	}
	if err := number("queries "+strings.Join(words[:len(words)-1], " "), n, words[len(words)-1]); err != nil {
		return fmt.Errorf("%w of:%s", err, listed(o.queries))
	}
	return nil
}

func checkAsked(o *outcome, rest []string) error {
	fits := func(i int) bool {
		if rest[i] == "none" {
			return false
		}
		want, got := strings.Fields(rest[i]), strings.Fields(o.queries[i].String())
		return slices.EqualFunc(want, got, func(a, b string) bool { return a == "*" || strings.EqualFold(a, b) })
	}
	if len(rest) == 1 && rest[0] == "none" {
		rest = nil
	}
	for i := range max(len(rest), len(o.queries)) {
		switch {
		case i >= len(rest):
			return fmt.Errorf("want no more than %d queries, got%s", i, listed(o.queries))
		case i >= len(o.queries):
			return fmt.Errorf("want %s asked, got nothing after%s", rest[i], listed(o.queries))
		case !fits(i):
			return fmt.Errorf("want %s asked at place %d, got%s", rest[i], i+1, listed(o.queries))
		}
	}
	return nil
}

func checkEvent(o *outcome, rest []string) error {
	words := strings.Fields(rest[0])
	var same []string
	for _, e := range o.events {
		if eventName(e) != words[0] {
			continue
		}
		ok, err := eventFits(e, words[1:])
		if err != nil {
			return err
		}
		if ok {
			return nil
		}
		same = append(same, fieldsOf(reflect.ValueOf(e)))
	}
	return fmt.Errorf("want event %s, got of that kind\n  %s", rest[0], strings.Join(same[:min(20, len(same))], "\n  "))
}

func checkNoEvent(o *outcome, rest []string) error {
	if checkEvent(o, rest) == nil {
		return fmt.Errorf("there was an event %s", rest[0])
	}
	return nil
}

// eventFits compares fields, field.field=value or field~part.
func eventFits(e event.Event, conditions []string) (bool, error) {
	for _, c := range conditions {
		i := strings.IndexAny(c, "=~")
		if i < 0 {
			return false, fmt.Errorf("want field=value, not %q", c)
		}
		v := reflect.ValueOf(e)
		for part := range strings.SplitSeq(c[:i], ".") {
			v = v.FieldByNameFunc(func(name string) bool { return strings.EqualFold(name, part) })
			if !v.IsValid() {
				return false, nil
			}
		}
		got := fmt.Sprint(v.Interface())
		if c[i] == '=' && !strings.EqualFold(got, c[i+1:]) || c[i] == '~' && !strings.Contains(got, c[i+1:]) {
			return false, nil
		}
	}
	return true, nil
}

// checkSaw looks at how a server was asked: all queries that fit have these
// properties, and there is one.
func checkSaw(o *outcome, rest []string) error {
	words := strings.Fields(rest[0])
	if len(words) < 4 {
		return errors.New("want: saw SERVER NAME TYPE property…")
	}
	fits := func(i int, text string) bool { return words[i] == "*" || strings.EqualFold(words[i], text) }
	n := 0
	for _, q := range o.heard {
		if !fits(0, q.Server.String()) || !fits(1, q.Name.String()) || !fits(2, q.Type.String()) {
			continue
		}
		n++
		for _, want := range words[3:] {
			if got, err := property(q, want); err != nil || got != want {
				return errors.Join(err, fmt.Errorf("want %s, %v had %s", want, q, got))
			}
		}
	}
	if n == 0 {
		return fmt.Errorf("want %s, but nothing of the kind was asked", rest[0])
	}
	return nil
}

// property gives a query's property in the form key=value.
func property(q simauth.Query, want string) (string, error) {
	key, _, _ := strings.Cut(want, "=")
	flags := map[string]bool{"rd": q.RD, "cd": q.CD, "edns": q.EDNS, "do": q.DO, "cookie": q.Cookie, "mixed-case": strings.ToLower(q.Asked) != q.Asked}
	if flag, ok := flags[key]; ok {
		return key + "=" + strconv.FormatBool(flag), nil
	}
	if key == "size" {
		return key + "=" + strconv.Itoa(int(q.UDPSize)), nil
	}
	return "", fmt.Errorf("unknown property %q", key)
}
