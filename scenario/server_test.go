package scenario

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"lastgood/internal/authority"
	"lastgood/internal/dnsname"
	"lastgood/internal/event"
	"lastgood/internal/simauth"
	"lastgood/internal/simnet"
)

// server is an authority on a host of its own.
type server struct {
	w               *world
	name            string
	addrs           []netip.Addr
	zones           map[dnsname.Name]string          // the file of each
	plain           map[dnsname.Name]*authority.Zone // what it holds of each, not signed
	link            simnet.Link
	noHint          bool
	tls             *identity // nil: none
	*simauth.Server           // nil before the app starts

	mu     sync.Mutex
	canned []*canned // in the order of the script; the last that fits counts
}

// addServer makes a server of the words of its statement.
func (w *world) addServer(words []string) error {
	if len(words) < 2 {
		return fmt.Errorf("server NAME ADDR[,ADDR] [ZONE[=FILE]…] [option…]")
	}
	s := &server{w: w, name: words[0], zones: map[dnsname.Name]string{}, plain: map[dnsname.Name]*authority.Zone{}}
	if _, err := dnsname.Parse(s.name); err != nil {
		return err
	}
	if _, err := w.named(s.name); err == nil {
		return fmt.Errorf("%s is there already", s.name)
	}
	var err error
	if s.addrs, err = addresses(words[1]); err != nil {
		return err
	}
	rest := words[2:]
	for len(rest) > 0 && isName(rest[0]) {
		text, file, own := strings.Cut(rest[0], "=")
		zone, err := dnsname.Parse(text)
		if err != nil {
			return err
		}
		if !own {
			file = zoneFile(zone)
		}
		s.zones[zone] = file
		rest = rest[1:]
	}
	o, err := optionsOf(rest, "latency= jitter= loss= mtu= no-hint")
	if err != nil {
		return err
	}
	s.noHint = o.has("no-hint")
	if s.link, err = linkOf(o, simnet.Link{Latency: defaultLatency}); err != nil {
		return err
	}
	w.trace.name(s.name, s.addrs...)
	w.servers = append(w.servers, s)
	return nil
}

// isName tells a zone, which ends with a dot, from an option.
func isName(word string) bool {
	name, _, _ := strings.Cut(word, "=")
	return strings.HasSuffix(name, ".")
}

// start puts the server on the network with its zones.
func (s *server) start() error {
	var texts []string
	for _, a := range s.addrs {
		texts = append(texts, a.String())
	}
	s.Server = s.w.sim.Add(s.name, texts...)
	s.w.net.SetLinks(s.w.host, s.Host(), s.link)
	for zone, file := range s.zones {
		var err error
		if s.plain[zone], err = s.w.load(zone, file, true); err != nil {
			return err
		}
		if err := s.publish(zone); err != nil {
			return err
		}
	}
	s.Always(s.react)
	if s.tls != nil {
		s.ServeTLS(s.tls.config())
	}
	return nil
}

// react is what the server says to a query: the truth, or what the script
// wants it to say.
func (s *server) react(x simauth.Exchange, re authority.Reaction) authority.Reaction {
	if x.Transport == event.TCP {
		s.w.trace.tcpQuery(s, x)
	}
	if c := s.prepared(x.Query); c != nil {
		re = c.react(x, re)
	}
	return re
}

// addresses reads ADDR,ADDR.
func addresses(text string) (list []netip.Addr, err error) {
	for word := range strings.SplitSeq(text, ",") {
		a, err := netip.ParseAddr(word)
		if err != nil {
			return nil, err
		}
		list = append(list, a)
	}
	return list, nil
}

// linkOf reads a link's options over those it has.
func linkOf(o *options, l simnet.Link) (simnet.Link, error) {
	var err error
	for key, text := range o.vals {
		switch key {
		case "latency":
			l.Latency, err = time.ParseDuration(text)
		case "jitter":
			l.Jitter, err = time.ParseDuration(text)
		case "loss":
			var percent float64
			_, err = fmt.Sscanf(text, "%f%%", &percent)
			l.Loss = percent / 100
		case "mtu":
			_, err = fmt.Sscan(text, &l.MTU)
		}
		if err != nil {
			return l, fmt.Errorf("%s=%s: %w", key, text, err)
		}
	}
	return l, nil
}
