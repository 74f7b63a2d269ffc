package infra

import (
	"testing"

	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
)

// What was learnt since the start is newer than what was known before it.
func TestRestoreKeepsWhatIsKnownByNow(t *testing.T) {
	i := fresh(Options{})
	cut := dnsname.MustParse("example")
	i.CutFailed(sec, cut, &ede.Error{ID: "LATE"}, Blame{Refused: true})
	i.Restore([]CutMemory{{Cut: cut, Failing: true, Silent: true, Cause: ede.Error{ID: "OLD"}}})
	if f, failing := i.CutFailing(sec, cut); !failing || f.Cause.ID != "LATE" || !f.Refused || f.Since != sec {
		t.Errorf("%+v, %v", f, failing)
	}
}
