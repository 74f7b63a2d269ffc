package scenario

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"lastgood/internal/dnsname"
)

// doNTA adds or removes a negative trust anchor as an operator may, or sees which
// there are.
func (w *world) doNTA(st *step) error {
	usage := errors.New("want: nta add ZONE [for=2h] [reason=WORD] [forced] | remove ZONE | list ZONE…|none")
	if len(st.words) < 2 {
		return usage
	}
	if st.words[0] == "list" {
		return w.listNTAs(st.words[1:])
	}
	zone, err := dnsname.Parse(st.words[1])
	if err != nil {
		return err
	}
	switch st.words[0] {
	case "add":
		return w.addNTA(zone, st.words[2:])
	case "remove":
		_, err := w.app.NTAs().RemoveNTA(zone)
		return err
	}
	return usage
}

func (w *world) addNTA(zone dnsname.Name, words []string) error {
	o, err := optionsOf(words, "for= reason= forced")
	if err != nil {
		return err
	}
	until := time.Time{}
	if o.has("for") {
		d, err := duration(o.vals["for"])
		if err != nil {
			return err
		}
		until = w.app.Clock().Wall().Add(d)
	}
	_, err = w.app.NTAs().AddNTA(zone, until, o.vals["reason"], o.has("forced"))
	return err
}

// listNTAs sees that these zones have one, in order, and no others.
func (w *world) listNTAs(want []string) error {
	w.groups++
	var got []string
	for _, n := range w.app.NTAs().NTAs() {
		got = append(got, n.Zone)
	}
	if len(got) == 0 {
		got = []string{"none"}
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		return fmt.Errorf("want negative trust anchors %s, got %s", strings.Join(want, " "), strings.Join(got, " "))
	}
	return nil
}
