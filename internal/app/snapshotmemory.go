package app

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"time"

	"lastgood/internal/cache"
	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
	"lastgood/internal/infra"
	"lastgood/internal/stale"
)

// rememberFailing is how long after a snapshot was saved it still speaks of
// failing zones and silent servers: as long as a failure may be remembered (RFC
// 9520 §3.2). Who comes back later finds out anew.
const rememberFailing = 5 * time.Minute

// keptMost bounds what is read: infra's tables hold no more.
const keptMost = 50_000

// memory is what is known of zones' health and speed, and of servers' health.
type memory struct {
	cuts    []infra.CutMemory
	servers []infra.SilentServer
}

// kept is an infra.CutMemory or an infra.SilentServer in a snapshot: one JSON
// value each.
type kept struct {
	Zone    string       `json:"z,omitempty"`
	Failure *keptFailure `json:"f,omitempty"`
	Samples []uint32     `json:"s,omitempty"` // µs

	Server      netip.AddrPort `json:"a,omitzero"`
	Unreachable string         `json:"u,omitempty"`
	Since       int64          `json:"t,omitempty"` // Unix milliseconds
}

type keptFailure struct {
	Silent  bool     `json:"silent,omitempty"`
	Refused bool     `json:"refused,omitempty"`
	Code    ede.Code `json:"code"`
	ID      string   `json:"id,omitempty"`
	Text    string   `json:"text,omitempty"`
	Since   int64    `json:"since"` // Unix milliseconds
}

// Times of day are in milliseconds since 1970.
func (m moments) save(at clock.Mono) int64 { return m.wall.Add(-m.now.Sub(at)).UnixMilli() }

func (m moments) load(millis int64) clock.Mono {
	return m.now.Add(-max(0, min(m.wall.Sub(time.UnixMilli(millis)), 365*24*time.Hour)))
}

// encodeMemory writes what is to outlive a restart.
func encodeMemory(m memory, at moments) []byte {
	var b bytes.Buffer
	out := json.NewEncoder(&b)
	for i := range m.cuts {
		cut := &m.cuts[i]
		k := kept{Zone: cut.Cut.String()}
		if cut.Failing {
			k.Failure = &keptFailure{
				Silent: cut.Silent, Refused: cut.Refused, Code: cut.Cause.Code, ID: cut.Cause.ID, Text: cut.Cause.Text, Since: at.save(cut.Since),
			}
		}
		for _, took := range cut.Samples {
			k.Samples = append(k.Samples, uint32(min(took/time.Microsecond, 1<<32-1)))
		}
		_ = out.Encode(&k) // nothing in it can fail
	}
	for _, s := range m.servers {
		_ = out.Encode(&kept{Server: s.Addr, Unreachable: s.Unreachable, Since: at.save(s.Since)})
	}
	return b.Bytes()
}

// decodeMemory reads what encodeMemory wrote, but for zones of which the
// configuration says something else now. What it cannot read it leaves out: it
// is a matter of speed.
func decodeMemory(b []byte, about *cache.LoadReport, at moments) (m memory) {
	still := !about.Backwards && about.Elapsed < rememberFailing
	in := json.NewDecoder(bytes.NewReader(b))
	for range keptMost {
		var k kept
		if in.Decode(&k) != nil {
			break
		}
		if k.Server.IsValid() && still {
			m.servers = append(m.servers, infra.SilentServer{Addr: k.Server, Unreachable: k.Unreachable, Since: at.load(k.Since)})
		}
		if zone, err := dnsname.Parse(k.Zone); err == nil && k.Zone != "" && about.Applies(zone) {
			m.cuts = append(m.cuts, k.cut(zone, still, at))
		}
	}
	return m
}

// cut gives what was kept of a zone: whether it failed only if that still counts.
func (k *kept) cut(zone dnsname.Name, still bool, at moments) infra.CutMemory {
	m := infra.CutMemory{Cut: zone}
	if f := k.Failure; f != nil && still {
		m.Failing, m.Silent, m.Refused = true, f.Silent, f.Refused
		m.Cause = ede.Error{Code: f.Code, ID: f.ID, Text: f.Text}
		m.Since = at.load(f.Since)
	}
	for _, took := range k.Samples[max(0, len(k.Samples)-stale.SamplesKept):] {
		m.Samples = append(m.Samples, time.Duration(took)*time.Microsecond)
	}
	return m
}
