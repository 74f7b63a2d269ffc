package scenario

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"lastgood/internal/authority"
)

// bogusCodes are the extended errors of what is wrong with a set, or with the denial
// of one, by the word of authority.BreakWords.
var bogusCodes = map[string]struct { // constant in effect
	code   int
	denial bool // the name is not there
}{
	"expired": {code: 7}, "not-yet": {code: 8}, "backwards": {code: 25}, "stripped": {code: 10}, "forged": {code: 6}, "forged-16": {code: 6},
	"wrong-key": {code: 9}, "wrong-signer": {code: 9}, "wrong-owner": {code: 6}, "wrong-labels": {code: 12}, "wrong-algorithm": {code: 10},
	"by-parent": {code: 6}, "by-child": {code: 10}, "by-sibling": {code: 10}, "denied": {code: 12}, "withheld": {code: 12},
	"no-denial": {12, true}, "wrong-denial": {12, true}, "proof-without-1": {12, true}, "proof-without-2": {12, true}, "proof-without-3": {12, true},
}

// TestBreaks breaks zones signed in each way in each way: all is bogus and said to be
// for its reason, given to who checks himself, and well again when it is mended. What
// is beside it does not notice.
func TestBreaks(t *testing.T) {
	for _, plan := range []string{
		"", "algorithm=5", "algorithm=8", "algorithm=10 keys=ksk1,zsk1", "algorithm=13 nsec3=0", "algorithm=14 nsec3=10:abcd", "algorithm=13,15",
		"nsec3=0:01 opt-out", "keys=ksk1,ksk2,zsk1,zsk2 ds=2,4",
	} {
		t.Run(plan, func(t *testing.T) {
			t.Parallel()
			s, err := parse("breaks", []byte(brokenScript(t, plan)))
			if err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) {
				if w, err := play(t, s, 1, false); err != nil {
					t.Errorf("%v\n%s", err, w.trace)
				}
			})
		})
	}
}

// brokenScript is the script for a zone signed as planned.
func brokenScript(t *testing.T, plan string) string {
	var breaks, asks, mended, zone strings.Builder
	for _, w := range authority.BreakWords() {
		wrong, ok := bogusCodes[w.Word]
		if !ok {
			t.Fatalf("it is not known what %q leads to", w.Word)
		}
		if skipped(w.Word, plan) {
			continue
		}
		name, typ, rcode := w.Word+".example.", ":A", "NOERROR"
		if wrong.denial {
			name, typ, rcode = "nope."+name, "", "NXDOMAIN"
		}
		ad := "+ad"
		if wrong.denial && strings.Contains(plan, "opt-out") {
			ad = "-ad"
		}
		fmt.Fprintf(&zone, "%s 60 A 192.0.2.80\n", w.Word+".example.")
		fmt.Fprintf(&breaks, "break example. %s:%s%s\n", w.Word, name, typ)
		fmt.Fprintf(&asks, "ask %s A do\n  rcode SERVFAIL\n  answer none\n  flags -ad\n  ede %d\n", name, wrong.code)
		if w.Word == "denied" {
			fmt.Fprintf(&asks, "ask %s A cd\n  rcode NXDOMAIN\n  flags -ad +cd\n", name)
		} else {
			fmt.Fprintf(&asks, "ask %s A cd\n  rcode %s\n  flags -ad +cd\n", name, rcode)
		}
		fmt.Fprintf(&mended, "ask %s A do\n  rcode %s\n  flags %s\n", name, rcode, ad)
	}
	const good = "ask good.example. A do\n  rcode NOERROR\n  flags +ad\n"
	return "# RFC 4035 §5: each way to be bogus.\nserver ns1.example. 192.0.2.53 example.\nconfig dnssec.aggressive-nsec=false\n" +
		"sign ." + algorithmOf(plan) + "\nsign example. " + plan + "\nanchor .\n" + breaks.String() + good + asks.String() + good +
		"mend example.\nafter 6m\n" + mended.String() + "-- example.zone --\ngood 60 A 192.0.2.1\n" + zone.String()
}

// algorithmOf is the word for the algorithm in a plan: the root has it too, for what
// it signs in place of the zone.
func algorithmOf(plan string) string {
	for word := range strings.FieldsSeq(plan) {
		if strings.HasPrefix(word, "algorithm=") {
			return " " + word
		}
	}
	return ""
}

// skipped tells of a proof with a record less that is none the worse: NSEC proves with
// one what is between two names; and what is opted out may be an unsigned delegation,
// of which anything may be said, whether there is a wildcard beside it or not.
func skipped(word, plan string) bool {
	switch {
	case strings.Contains(plan, "opt-out"):
		return word == "proof-without-3"
	case strings.Contains(plan, "nsec3"):
		return false
	}
	return word == "proof-without-2" || word == "proof-without-3"
}
