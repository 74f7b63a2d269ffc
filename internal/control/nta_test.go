package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"lastgood/internal/dnsname"
)

// fakeNTAs has one for broken.example., and notes what is wanted of it.
type fakeNTAs struct {
	mu  sync.Mutex
	did string
}

func (f *fakeNTAs) note(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.did = fmt.Sprintf(format, args...)
}

func (f *fakeNTAs) last() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.did
}

var someNTA = NTA{Zone: "broken.example.", Added: time.Unix(1000, 0).UTC(), Until: time.Unix(8200, 0).UTC(), Reason: "key lost", Kept: true} // constant in effect

func (*fakeNTAs) NTAs() []NTA { return []NTA{someNTA} }

func (f *fakeNTAs) AddNTA(zone dnsname.Name, until time.Time, reason string, forced bool) (NTA, error) {
	lasts := time.Duration(0)
	if !until.IsZero() {
		lasts = time.Until(until).Round(time.Minute)
	}
	if lasts > 7*24*time.Hour {
		return NTA{}, errors.New("it would last too long; give less")
	}
	f.note("add %s %v %q %v", zone, lasts, reason, forced)
	return someNTA, nil
}

func (f *fakeNTAs) RemoveNTA(zone dnsname.Name) (NTA, error) {
	switch zone {
	case "\x06broken\x07example\x00":
		f.note("remove %s", zone)
		return someNTA, nil
	case dnsname.Root:
		return NTA{}, errors.New("it comes from the configuration; delete it there")
	}
	return NTA{}, ErrNoNTA
}

// TestNTAs: what is asked for is done, and told as it is.
func TestNTAs(t *testing.T) {
	f := new(fakeNTAs)
	base := start(t, Options{Cache: &fakeCache{}, Resolver: fakeResolver{}, NTAs: f})
	one, _ := json.Marshal(someNTA)
	if code, text := send(t, "GET", base+"/api/v1/nta/list", ""); code != 200 || strings.TrimSpace(text) != `{"ntas":[`+string(one)+`]}` {
		t.Errorf("%d %s", code, text)
	}
	ahead := time.Now().Add(3 * time.Hour).UTC().Format(time.RFC3339)
	for _, c := range []struct{ path, body, did string }{
		{"add", `{"zone":"Broken.Example"}`, `add broken.example. 0s "" false`},
		{"add", `{"zone":"broken.example.","for_seconds":7200,"reason":"key lost","forced":true}`, `add broken.example. 2h0m0s "key lost" true`},
		{"add", `{"zone":"broken.example.","until":"` + ahead + `"}`, `add broken.example. 3h0m0s "" false`},
		{"remove", `{"zone":"broken.example"}`, "remove broken.example."},
	} {
		code, text := send(t, "POST", base+"/api/v1/nta/"+c.path, c.body, "Content-Type", "application/json")
		if code != 200 || strings.TrimSpace(text) != string(one) || f.last() != c.did {
			t.Errorf("%s: %d %s, did %s", c.body, code, text, f.last())
		}
	}
}

// TestWrongNTAs: what cannot be is refused with what to do, and nothing is done.
func TestWrongNTAs(t *testing.T) {
	f := new(fakeNTAs)
	base := start(t, Options{Cache: &fakeCache{}, Resolver: fakeResolver{}, NTAs: f})
	for _, c := range []struct {
		path, body string
		want       int
		says       string
	}{
		{"add", `{}`, 400, "zone is missing"},
		{"add", `{"zone":"a..b"}`, 400, "is no domain name"},
		{"add", `{"zone":"a","for_seconds":-1}`, 400, "up to 604800"},
		{"add", `{"zone":"a","for_seconds":9223372036854775807}`, 400, "up to 604800"},
		{"add", `{"zone":"a","for_seconds":700000}`, 400, `"detail":"it would last too long","advice":"give less"`},
		{"add", `{"zone":"a","for_seconds":60,"until":"2099-01-01T00:00:00Z"}`, 400, "both given"},
		{"add", `{"zone":"a","until":"tomorrow"}`, 400, "cannot be read"},
		{"add", `{"zone":"a","until":"0001-01-01T00:00:00Z"}`, 400, "give an end that is ahead"},
		{"add", `{"zone":"a","force":true}`, 400, "unknown field"},
		{"remove", `{"zone":"a"}`, 404, "there is no such negative trust anchor"},
		{"remove", `{"zone":"."}`, 409, `"detail":"it comes from the configuration","advice":"delete it there"`},
		{"remove", `{"zone":""}`, 400, "zone is missing"},
		{"remove", `[]`, 400, "cannot be read"},
	} {
		code, text := send(t, "POST", base+"/api/v1/nta/"+c.path, c.body, "Content-Type", "application/json")
		if code != c.want || !strings.Contains(text, c.says) {
			t.Errorf("%s %s: %d %s, want %d and %s", c.path, c.body, code, text, c.want, c.says)
		}
	}
	if f.last() != "" {
		t.Errorf("did %s", f.last())
	}
	base = startAPI(t, &fakeCache{})
	if code, text := send(t, "GET", base+"/api/v1/nta/list", ""); code != http.StatusConflict || !strings.Contains(text, "set dnssec.validation to true") {
		t.Errorf("without validation: %d %s", code, text)
	}
}
