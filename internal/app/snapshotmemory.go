package app

import (
	"encoding/json"
	"time"

	"lastgood/internal/cache"
	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
	"lastgood/internal/infra"
)

// rememberFailing is how long after a snapshot was saved it still speaks of
// failing zones. Who comes back later finds out anew.
const rememberFailing = 10 * time.Minute

// keptCut is an infra.CutMemory in a snapshot.
type keptCut struct {
	Zone    string       `json:"z"`
	Failure *keptFailure `json:"f,omitempty"`
	Samples []uint32     `json:"s,omitempty"` // µs
}

type keptFailure struct {
	Silent  bool     `json:"silent,omitempty"`
	Refused bool     `json:"refused,omitempty"`
	Code    ede.Code `json:"code"`
	ID      string   `json:"id,omitempty"`
	Text    string   `json:"text,omitempty"`
	Since   int64    `json:"since"` // Unix milliseconds
}

// encodeMemory writes what is known of zones' health and speed. wall is the time
// of day at now.
func encodeMemory(list []infra.CutMemory, now clock.Mono, wall time.Time) []byte {
	kept := make([]keptCut, len(list))
	for i := range list {
		m := &list[i]
		k := keptCut{Zone: m.Cut.String()}
		if m.Failing {
			k.Failure = &keptFailure{
				Silent: m.Silent, Refused: m.Refused, Code: m.Cause.Code, ID: m.Cause.ID, Text: m.Cause.Text,
				Since: wall.Add(-now.Sub(m.Since)).UnixMilli(),
			}
		}
		for _, took := range m.Samples {
			k.Samples = append(k.Samples, uint32(min(took/time.Microsecond, 1<<32-1)))
		}
		kept[i] = k
	}
	b, err := json.Marshal(kept)
	if err != nil {
		return nil // nothing in it can fail
	}
	return b
}

// decodeMemory reads what encodeMemory wrote, but for zones of which the
// configuration says something else now. What it cannot read it leaves out: it
// is a matter of speed.
func decodeMemory(b []byte, about *cache.LoadReport, now clock.Mono, wall time.Time) []infra.CutMemory {
	var kept []keptCut
	if json.Unmarshal(b, &kept) != nil {
		return nil
	}
	still := !about.Backwards && about.Elapsed < rememberFailing
	var list []infra.CutMemory
	for i := range kept {
		k := &kept[i]
		zone, err := dnsname.Parse(k.Zone)
		if err != nil || !about.Applies(zone) {
			continue
		}
		m := infra.CutMemory{Cut: zone}
		if f := k.Failure; f != nil && still {
			m.Failing, m.Silent, m.Refused = true, f.Silent, f.Refused
			m.Cause = ede.Error{Code: f.Code, ID: f.ID, Text: f.Text}
			m.Since = now.Add(-max(0, min(wall.Sub(time.UnixMilli(f.Since)), 365*24*time.Hour)))
		}
		for _, took := range k.Samples {
			m.Samples = append(m.Samples, time.Duration(took)*time.Microsecond)
		}
		list = append(list, m)
	}
	return list
}
