package control

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// No web page reaches any address, whichever way it has its browser ask: by a
// name of its own that leads here (DNS rebinding), by a script, a form, a
// hidden frame or an image.
func TestWebPagesReachNothing(t *testing.T) {
	c := &fakeCache{entries: someEntries()}
	base := start(t, Options{Cache: c, Resolver: fakeResolver{}, NTAs: new(fakeNTAs)})
	host := strings.TrimPrefix(base, "http://")
	_, port, _ := net.SplitHostPort(host)
	s := &Server{o: Options{Cache: c, Gather: func(func(Metric)) {}}}
	for _, e := range s.endpoints() {
		path, body := strings.TrimSuffix(e.path, "{$}"), ""
		if strings.HasSuffix(path, "lookup") {
			path += "?name=www.example"
		}
		switch e.takes.(type) {
		case Flush:
			body = `{"stale":true}`
		case NTAAdd, NTARemove:
			body = `{"zone":"broken.example."}`
		}
		for _, h := range []struct {
			headers []string
			want    int
		}{
			{[]string{"Host", "rebound.example"}, 403},
			{[]string{"Host", "rebound.example:" + port}, 403},
			{[]string{"Host", "localhost.rebound.example:" + port}, 403},
			{[]string{"Host", "127.0.0.1.rebound.example"}, 403},
			{[]string{"Host", "rebound.example", "Origin", "http://rebound.example", "Sec-Fetch-Site", "same-origin"}, 403},
			{[]string{"Origin", "https://page.example"}, 403},
			{[]string{"Origin", "null"}, 403},
			{[]string{"Origin", "http://127.0.0.1:1"}, 403},
			{[]string{"Origin", "http://localhost:" + port}, 403},
			{[]string{"Origin", base, "Origin", "https://page.example"}, 403},
			{[]string{"Sec-Fetch-Site", "cross-site"}, 403},
			{[]string{"Sec-Fetch-Site", "same-site"}, 403},
			{[]string{"Sec-Fetch-Site", "anything-new"}, 403},
			{[]string{"Sec-Fetch-Site", "none"}, 200},
			{[]string{"Sec-Fetch-Site", "same-origin", "Origin", base}, 200},
			{[]string{"Host", "localhost:" + port}, 200},
			{nil, 200},
		} {
			before := len(c.did())
			code, text := send(t, e.method, base+path, body, append(h.headers, "Content-Type", "application/json")...)
			if code != h.want || code == 403 && len(c.did()) > before {
				t.Errorf("%s %s with %q: %d, want %d: %s", e.method, path, h.headers, code, h.want, text)
			}
		}
	}
}

// HTTP/1.0 has no Host; an opaque origin is no less foreign for that.
func TestOriginWithoutHost(t *testing.T) {
	base := startAPI(t, &fakeCache{})
	conn, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /api/v1/cache/stats HTTP/1.0\r\nOrigin: null\r\n\r\n")
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if text, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusForbidden {
		t.Errorf("%d %s", res.StatusCode, text)
	}
}

// With a token nothing works without it, whatever the host is called.
func TestTokenGuardsTheAPI(t *testing.T) {
	c := &fakeCache{}
	base := start(t, Options{Cache: c, Resolver: fakeResolver{}, Token: "0123456789abcdef"})
	for _, h := range []struct {
		headers []string
		want    int
	}{
		{nil, 401},
		{[]string{"Authorization", "Bearer wrong"}, 401},
		{[]string{"Host", "resolver.example", "Authorization", "Bearer 0123456789abcdef"}, 200},
		{[]string{"Authorization", "Bearer 0123456789abcdef", "Origin", "https://page.example"}, 403},
		{[]string{"Authorization", "Bearer 0123456789abcdef"}, 200},
	} {
		before := len(c.did())
		code, _ := send(t, "POST", base+"/api/v1/cache/flush", `{"stale":true}`, append(h.headers, "Content-Type", "application/json")...)
		if code != h.want || (len(c.did()) > before) != (h.want == 200) {
			t.Errorf("%q: %d, want %d", h.headers, code, h.want)
		}
	}
}

// A socket is its owner's and group's, whatever the umask is.
func TestSocketIsNotForEverybody(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.sock")
	start(t, Options{Listen: "unix:" + path})
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("%v %v", info.Mode(), err)
	}
}
