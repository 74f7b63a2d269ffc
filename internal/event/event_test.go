package event

import (
	"slices"
	"testing"
)

// distinct checks that the n constants have names of their own and that any
// other value is safe to print.
func distinct[T ~uint8](t *testing.T, n int, name func(T) string) {
	t.Helper()
	seen := map[string]bool{}
	for i := range n {
		seen[name(T(i))] = true
	}
	if len(seen) != n || seen[""] {
		t.Errorf("%d values have the names %v", n, seen)
	}
	for i := n; i < 256; i++ {
		if name(T(i)) == "" {
			t.Errorf("%d prints as nothing", i)
		}
	}
}

func TestStrings(t *testing.T) {
	distinct(t, int(TLS)+1, Transport.String)
	distinct(t, int(ReasonLastHope)+1, Reason.String)
	distinct(t, int(Budget)+1, Outcome.String)
	distinct(t, int(NegativeRecovered)+1, NegativeChange.String)
	for o, want := range map[Outcome]string{
		Answer: "answer", Alias: "alias", NoData: "nodata", NXDomain: "nxdomain", Referral: "referral", Timeout: "timeout",
		Unreachable: "unreachable", ServFail: "servfail", Refused: "refused", NotImp: "notimp", FormErr: "formerr",
		BadVers: "badvers", OtherRcode: "rcode", Lame: "lame", Garbage: "garbage", Spoofed: "spoofed", Budget: "budget",
	} {
		if o.String() != want {
			t.Errorf("%d is %q, not %q", o, o, want)
		}
	}
	if ReasonOnly.String() != "only one" || ReasonLastHope.String() != "last hope" || UDP.String() != "udp" || TCP.String() != "tcp" || TLS.String() != "tls" {
		t.Error("a name is out of its place")
	}
}

func TestUseful(t *testing.T) {
	useful := []Outcome{Answer, Alias, NoData, NXDomain, Referral}
	for o := Answer; o <= Budget; o++ {
		if o.Useful() != slices.Contains(useful, o) {
			t.Errorf("%v is useful: %v", o, o.Useful())
		}
	}
}

func TestSinks(t *testing.T) {
	var a, b []Event
	Sink(nil).Emit(Priming{}) // hears nothing, and is safe
	tee := Tee(func(e Event) { a = append(a, e) }, nil, func(e Event) { b = append(b, e) })
	events := []Event{FlightStarted{Flight: 1}, Downgraded{What: "edns off"}}
	for _, e := range events {
		tee.Emit(e)
	}
	if !slices.Equal(a, events) || !slices.Equal(b, events) {
		t.Errorf("%v, %v", a, b)
	}
}
