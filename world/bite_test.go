package world

import (
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"

	"lastgood/internal/dnsname"
	"lastgood/internal/wire"
)

// proxies stand between the clients and the program and are each wrong in one
// way. The oracle must see through all of them. (Planted, in the program itself:
// TestPlanted.)
var proxies = []struct {
	name string
	make func() func(r *reply, m *dns.Msg) bool // alters m, false if it did not
}{
	{"TTL ignored", func() func(*reply, *dns.Msg) bool {
		type kept struct {
			at time.Duration
			m  *dns.Msg
		}
		seen := map[key]kept{}
		return func(r *reply, m *dns.Msg) bool {
			k := key{r.name, r.typ}
			old, ok := seen[k]
			if !ok {
				if len(m.Answer) > 0 {
					seen[k] = kept{r.came, m.Copy()}
				}
				return false
			}
			old.m.CopyTo(m)
			for _, rr := range slices.Concat(m.Answer, m.Ns) { // counted down, and never at an end
				h := rr.Header()
				h.Ttl -= min(h.Ttl, uint32((r.came-old.at)/time.Second))
			}
			return true
		}
	}},
	{"bailiwick ignored", func() func(*reply, *dns.Msg) bool {
		return func(r *reply, m *dns.Msg) bool {
			if r.typ != wire.TypeA || r.name.FirstLabel() != "www" {
				return false
			}
			m.Rcode, m.Ns = dns.RcodeSuccess, nil
			m.Answer = lie(r.name.String(), dns.TypeA)
			return true
		}
	}},
	{"negative answer for the wrong type", func() func(*reply, *dns.Msg) bool {
		type kept struct {
			until time.Duration
			m     *dns.Msg
		}
		seen := map[dnsname.Name]kept{}
		return func(r *reply, m *dns.Msg) bool {
			if old, ok := seen[r.name]; ok && r.came < old.until && len(m.Answer) > 0 {
				old.m.CopyTo(m)
				m.Question[0].Qtype = uint16(r.typ)
				return true
			}
			if m.Rcode == dns.RcodeSuccess && len(m.Answer) == 0 && len(m.Ns) == 1 {
				seen[r.name] = kept{r.came + time.Duration(m.Ns[0].Header().Ttl)*time.Second, m.Copy()}
			}
			return false
		}
	}},
}

type key struct {
	name dnsname.Name
	typ  wire.Type
}

// through lets all replies of a world pass through a proxy.
func through(t *testing.T, r *record, alter func(*reply, *dns.Msg) bool) (altered int) {
	t.Helper()
	for i := range r.replies {
		x := &r.replies[i]
		m := new(dns.Msg)
		if x.msg == nil || m.Unpack(x.msg) != nil || m.Truncated || !alter(x, m) {
			continue
		}
		altered++
		msg, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		x.msg, x.size = msg, 0
	}
	return altered
}

// TestOracleBites judges the replies of sound worlds after a proxy spoilt them.
func TestOracleBites(t *testing.T) {
	for _, p := range proxies {
		questions, altered := 0, 0
		for seed := uint64(1); ; seed++ {
			if seed > 30 {
				t.Errorf("%s: not found in %d questions, of which %d were altered", p.name, questions, altered)
				break
			}
			r := run(t, generate(seed, *sizeFlag))
			altered += through(t, r, p.make())
			if j := verdicts(r); len(j.found) > 0 {
				at := slices.IndexFunc(r.replies, func(x reply) bool { return x.sent == j.found[0].reply.sent })
				t.Logf("%s: found in world %d after %d questions: %s", p.name, seed, questions+at+1, j.found[0].why)
				break
			}
			questions += len(r.replies)
		}
	}
}

// TestShrink makes a world small in which a proxy spoils a reply.
func TestShrink(t *testing.T) {
	p := generate(1, 100)
	small, v, replays := shrink(t, p, 150, func(p *plan) (*record, *violation) {
		r := run(t, p)
		through(t, r, proxies[1].make())
		if j := verdicts(r); len(j.found) > 0 {
			return r, &j.found[0]
		}
		return r, nil
	})
	if small == nil {
		t.Fatal("no reply of this world was spoilt")
	}
	if len(small.p.asks) != 1 || len(small.p.faults) != 0 || len(small.p.steps) > 20 {
		t.Errorf("after %d replays %d questions, %d faults and %d steps are left", replays, len(small.p.asks), len(small.p.faults), len(small.p.steps))
	}
	t.Logf("%d replays, %d steps of %d left:\n%s", replays, len(small.p.steps), len(p.steps), small.story(v))
}
