package control

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// guard refuses what does not come from an operator: wrong token, foreign Host
// (DNS rebinding), or what a web page had its browser send, be it a script, a
// form, an image or a link (Origin; Sec-Fetch-Site of the W3C's Fetch Metadata).
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set(VersionHeader, APIVersion)
		switch {
		case s.o.Token != "" && !sameToken(r.Header.Get("Authorization"), s.o.Token):
			h.Set("WWW-Authenticate", "Bearer")
			problem(http.StatusUnauthorized, "a bearer token is required, and the right one",
				"send Authorization: Bearer TOKEN with the first line of the file that control.token-file names (lastgood … --token-file FILE)").write(w)
		case s.o.Token == "" && !localHost(r.Host):
			problem(http.StatusForbidden, "unknown host "+quote(r.Host), "use an address or localhost in the URL").write(w)
		case foreignOrigin(r), !sameSite(r):
			problem(http.StatusForbidden, "requests from web pages of other origins are refused",
				"use the command line, curl, or type the URL into the browser").write(w)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// localHost tells whether a Host header names an address or this machine, and
// not some name that a stranger's DNS points here.
func localHost(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	_, err := netip.ParseAddr(strings.Trim(name, "[]"))
	return err == nil || strings.EqualFold(strings.TrimSuffix(name, "."), "localhost") || name == ""
}

// foreignOrigin tells whether a request says that a page from elsewhere makes
// it. The origin null is that of a page which hides where it is from.
func foreignOrigin(r *http.Request) bool {
	for _, origin := range r.Header.Values("Origin") {
		if u, err := url.Parse(origin); err != nil || u.Host == "" || u.Host != r.Host {
			return true
		}
	}
	return false
}

// sameSite tells whether a browser, if it is one, sends the request on behalf
// of a page of ours or of its user. Browsers add the header to all they send to
// loopback, pages cannot change it, and another port of this host is "same-site".
func sameSite(r *http.Request) bool {
	for _, site := range r.Header.Values("Sec-Fetch-Site") {
		if site != "same-origin" && site != "none" {
			return false
		}
	}
	return true
}
