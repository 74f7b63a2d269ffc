package app

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"lastgood/internal/anchor"
	"lastgood/internal/dnssec"
	"lastgood/internal/rootzone"
)

// rootAnchorOf is the anchor of the tests' root.
func rootAnchorOf(t *testing.T) rootzone.Anchor {
	t.Helper()
	ds, err := rootPlan(t).DS()
	if err != nil {
		t.Fatal(err)
	}
	list, err := anchor.Parse("test", ds[0].String(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return list[0]
}

// anySerial has nothing against any.
func anySerial(uint32) error { return nil }

// webSource is a source at a test server, whose certificate it trusts.
func webSource(t *testing.T, h http.HandlerFunc) (*httpsSource, *httptest.Server) {
	t.Helper()
	server := httptest.NewTLSServer(h)
	t.Cleanup(server.Close)
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate())
	return newHTTPSSource(server.URL+"/root.zone", new(net.Dialer).DialContext, pool, time.Now), server
}

// TestHTTPSSource fetches a zone file, verifies it, and asks for a newer one only.
func TestHTTPSSource(t *testing.T) {
	text, conditions := zoneText(signedRoot(t, 7)), []string{}
	s, _ := webSource(t, func(w http.ResponseWriter, r *http.Request) {
		conditions = append(conditions, r.Header.Get("If-None-Match"))
		w.Header().Set("ETag", `"seven"`)
		http.ServeContent(w, r, "root.zone", time.Time{}, strings.NewReader(text))
	})
	data, err := s.fetch(t.Context(), nil, anySerial)
	if err != nil {
		t.Fatal(err)
	}
	z, err := data.Verify(rootAnchorOf(t), time.Now(), &dnssec.Policy{})
	if err != nil || z.Serial() != 7 {
		t.Fatal(err)
	}
	if _, err := s.fetch(t.Context(), data, anySerial); !errors.Is(err, rootzone.ErrSame) {
		t.Errorf("unchanged: %v", err)
	}
	text = zoneText(signedRoot(t, 8))
	s.serial = 6 // what is held came from elsewhere: no condition
	if data, err = s.fetch(t.Context(), data, anySerial); err != nil || data.Serial() != 8 {
		t.Error(err)
	}
	if got := fmt.Sprintf("%q", conditions); got != `["" "\"seven\"" ""]` {
		t.Errorf("conditions %s", got)
	}
}

// TestHTTPSHostile: what a web server must not do ends in an error that says it.
func TestHTTPSHostile(t *testing.T) {
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	for _, test := range []struct {
		name, want string
		h          http.HandlerFunc
	}{
		{"missing", `the server answered "404 Not Found"`, http.NotFound},
		{"endless", "more than 8388608 octets", func(w http.ResponseWriter, r *http.Request) {
			line := []byte(strings.Repeat(";", 32<<10) + "\n")
			for r.Context().Err() == nil {
				if _, err := w.Write(line); err != nil {
					return
				}
			}
		}},
		{"announced as large", "more than 8388608 octets", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "8388609") }},
		{"in the clear", "redirects to what is not https", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, plain.URL, http.StatusFound) }},
		{"round and round", "more than 3 redirects", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Path+"x", http.StatusFound)
		}},
		{"no zone", ":1: ", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "<html>") }},
		{"half a zone", "the zone has no SOA record", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "tld. 60 IN NS ns.tld.") }},
		{"a wrong line", ":2: ", func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, ". 60 IN SOA ns. admin. 1 2 3 4 5\na. 60 IN A 192.0.2.256\n")
		}},
		{"many records", "more than 150000 records", func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, ". 60 IN SOA ns. admin. 1 2 3 4 5\n$GENERATE 0-65535 a$ 60 A 192.0.2.1\n$GENERATE 0-65535 b$ 60 A 192.0.2.1\n$GENERATE 0-65535 c$ 60 A 192.0.2.1\n")
		}},
		{"includes", ":1: ", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "$INCLUDE /etc/passwd") }},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, _ := webSource(t, test.h)
			if _, err := s.fetch(t.Context(), nil, anySerial); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
}

func TestHTTPSUntrusted(t *testing.T) {
	_, server := webSource(t, http.NotFound)
	s := newHTTPSSource(server.URL, new(net.Dialer).DialContext, x509.NewCertPool(), time.Now)
	if _, err := s.fetch(t.Context(), nil, anySerial); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Error(err)
	}
}

// TestHTTPSPatience: a server that says nothing is left when the time is up.
func TestHTTPSPatience(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context()) // as a timer would; how long a handshake takes is nobody's to know
	s, _ := webSource(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, ". 60 IN SOA ns. admin. 1 2 3 4 5")
		_ = http.NewResponseController(w).Flush()
		cancel(errFetchTime)
		<-r.Context().Done()
	})
	if _, err := s.fetch(ctx, nil, anySerial); !errors.Is(err, errFetchTime) {
		t.Error(err)
	}
}

// TestBrokenOff: what ends with an error is no zone, though each line was read.
func TestBrokenOff(t *testing.T) {
	broken := errors.New("the disk is gone")
	for _, text := range []string{"", ". 60 IN SOA ns. admin. 1 2 3 4 5\n", ". 60 IN SOA ns. admin. 1 2 3 4 5\nns. 60 IN A 192.0.2.1"} {
		r := io.MultiReader(strings.NewReader(text), iotest.ErrReader(broken))
		if _, err := readZone(t.Context(), "root.zone", r, anySerial); err == nil || !strings.Contains(err.Error(), broken.Error()) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestJudgedEarly: of a zone that is not worth it nothing but the SOA record is read.
func TestJudgedEarly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "root.zone")
	text := zoneText(signedRoot(t, 7)) + "garbage behind\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	older := func(serial uint32) error {
		if serial != 7 {
			t.Errorf("judged %d", serial)
		}
		return rootzone.ErrOlder
	}
	if _, err := fileSource(path).fetch(t.Context(), nil, older); !errors.Is(err, rootzone.ErrOlder) {
		t.Error(err)
	}
	want := fmt.Sprintf("%s:%d: ", path, strings.Count(text, "\n"))
	if _, err := fileSource(path).fetch(t.Context(), nil, anySerial); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
	if _, err := fileSource(filepath.Dir(path)).fetch(t.Context(), nil, anySerial); err == nil || !strings.Contains(err.Error(), "is no file") {
		t.Error(err)
	}
}
