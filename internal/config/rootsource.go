package config

import (
	"net/url"
	"path/filepath"
	"strings"
)

// RootSource is where a copy of the root zone comes from: one of a server, a URL
// and a file.
type RootSource struct {
	Server Endpoint // gives zone transfers over tcp or tls; zero if it is none
	URL    string   // of a zone file, over https
	File   string   // path of a zone file
}

// String writes the source as a configuration file does.
func (s RootSource) String() string {
	switch {
	case s.URL != "":
		return s.URL
	case s.File != "":
		return s.File
	}
	return s.Server.String()
}

// maxURL bounds a URL, in octets.
const maxURL = 2048

// parseRootSource reads "192.0.2.1", "tls://192.0.2.1#name", "ns1.example.",
// "https://…" and "/path".
func (o *Option) parseRootSource(text string) (RootSource, *problem) {
	remedy := `write a server ("192.0.2.1", "b.root-servers.net.", "tls://192.0.2.1#dns.example"), an https:// URL or a file's whole path`
	scheme, rest, _ := strings.Cut(text, "://")
	switch {
	case strings.EqualFold(scheme, "https"):
		u, err := url.Parse(text)
		if err != nil || u.Hostname() == "" || u.User != nil || len(text) > maxURL {
			return RootSource{}, &problem{quote(text) + " is no URL that can be asked", `write one such as "https://www.internic.net/domain/root.zone"`}
		}
		return RootSource{URL: u.String()}, nil
	case strings.EqualFold(scheme, "http"):
		return RootSource{}, &problem{quote(text) + " is not protected on its way", "write " + quote("https://"+rest)}
	case strings.EqualFold(scheme, "file"):
		return filePath(text, rest)
	case strings.HasPrefix(text, "/"):
		return filePath(text, text)
	case strings.Contains(text, "/") && !strings.Contains(text, "://"):
		return RootSource{}, &problem{quote(text) + " is no whole path", remedy}
	}
	e, bad := o.parseEndpoint(text)
	if bad != nil && !strings.Contains(bad.hint, "#") {
		bad.hint = remedy
	}
	return RootSource{Server: e}, bad
}

func filePath(text, path string) (RootSource, *problem) {
	if !filepath.IsAbs(path) || strings.HasSuffix(path, "/") {
		return RootSource{}, &problem{quote(text) + " is no file's whole path", "write one such as /var/lib/lastgood/root.zone"}
	}
	return RootSource{File: filepath.Clean(path)}, nil
}

// checkRoot refuses a copy of the root zone that nobody would ask.
func (r *reader) checkRoot() {
	c := r.cfg
	if len(c.RootZone.Sources) > maxRootSources {
		r.failAt(&problem{"there are more than 32 sources", "delete some: they are asked one after the other"}, "root-zone.sources")
	}
	if c.RootZone.Mode != "local" {
		return
	}
	for _, z := range c.Forward {
		if z.Zone.IsRoot() {
			r.failAt(&problem{"everything is forwarded (forward: zone .), so the root zone is of no use", "write hints"}, "root-zone.mode")
		}
	}
	for _, z := range c.Stub {
		if z.Zone.IsRoot() {
			r.failAt(&problem{"the root has servers of its own (stub: zone .), which are to be asked", "write hints, or delete the stub zone"}, "root-zone.mode")
		}
	}
}

// maxRootSources bounds root-zone.sources.
const maxRootSources = 32
