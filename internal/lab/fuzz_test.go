package lab

import (
	"net/http/httptest"
	"strings"
	"testing"

	"lastgood/internal/authority"
	"lastgood/internal/dnsname"
)

// FuzzServers: no table of servers makes the parser panic, and those that it
// takes have a name, addresses and zones.
func FuzzServers(f *testing.F) {
	for _, text := range []string{
		"ns.example. 192.0.2.1,2001:db8::1 10ms example. sub.example.!slow=1s,lame # comment\n", "a. 192.0.2.1 0s .", "a. x 1s .", "a. 192.0.2.1 -1s .",
		"a. 192.0.2.1 1s .\nb. 192.0.2.1 1s .", "# nothing", "a. 192.0.2.1 1s !", "a. fe80::1%x 1s .!off",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, table []byte) {
		servers, err := parseServers(table)
		if err != nil {
			return
		}
		if len(servers) > maxServers {
			t.Errorf("%d servers", len(servers))
		}
		for _, s := range servers {
			if len(s.Host) == 0 || len(s.Addrs) == 0 || len(s.Serves) == 0 || s.Latency < 0 || s.Latency > maxLatency {
				t.Errorf("accepted %+v", s)
			}
		}
	})
}

// FuzzControl: whatever is posted to a running lab, it says yes or what was wrong.
func FuzzControl(f *testing.F) {
	world, err := NewWorld()
	if err != nil {
		f.Fatal(err)
	}
	l := &Lab{world: world, faults: map[dnsname.Name]authority.Fault{}}
	for _, s := range world.Servers {
		l.servers = append(l.servers, world.NewServer(s, authority.Options{}))
	}
	for _, text := range []string{
		"target=example.com.&fault=silent", "target=all&fault=slow%3D1s", "target=192.0.2.1&fault=off", "target=ns1.example.com.&fault=loss%3D30%25",
		"target=exampel.com&fault=lame", "target=&fault=", "%zz", "fault=off;target=x",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, body string) {
		req := httptest.NewRequest("POST", "/fault", strings.NewReader(body))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		l.handleFault(w, req)
		if w.Code != 200 && w.Code != 400 || w.Body.Len() == 0 {
			t.Errorf("%q: %d %q", body, w.Code, w.Body)
		}
		if list := l.List(); list == "" {
			t.Error("nothing is listed")
		}
	})
}
