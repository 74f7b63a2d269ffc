package control

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/wire"
)

// readName reads a domain name that the request gave.
func readName(what, text string) (dnsname.Name, error) {
	if text == "" {
		return "", badRequest(what+" is missing", "give a domain name, such as www.example.com")
	}
	name, err := dnsname.Parse(text)
	if err != nil {
		return "", badRequest(what+" "+quote(text)+" is no domain name: "+err.Error(), "give one such as www.example.com; octets that are not printable are written \\DDD")
	}
	return name, nil
}

// readType reads a record type; def stands for none.
func readType(text string, def wire.Type) (wire.Type, error) {
	if text == "" {
		return def, nil
	}
	t, err := wire.ParseType(text)
	if err != nil {
		return 0, badRequest(err.Error(), "give a mnemonic such as AAAA, or TYPE65280")
	}
	if t.IsMeta() && t != wire.TypeANY {
		return 0, badRequest(t.String()+" is no type of data: nothing is cached under it", "give a type of data such as AAAA, or ANY")
	}
	return t, nil
}

// quote makes text of a request safe to be shown.
func quote(text string) string {
	if len(text) > 100 {
		text = text[:100] + "…"
	}
	return strconv.QuoteToASCII(text)
}

// lookup tells what is cached at a name and what a client would get.
func (s *Server) lookup(w http.ResponseWriter, _ *http.Request, q url.Values) error {
	name, err := readName("parameter name", q.Get("name"))
	if err != nil {
		return err
	}
	t, err := readType(q.Get("type"), wire.TypeA)
	if err != nil {
		return err
	}
	found := Lookup{Name: name.String(), Type: t.String(), Entries: s.o.Cache.Entries(name), Client: s.o.Resolver.Explain(name, t)}
	if found.Entries == nil {
		found.Entries = []Entry{}
	}
	if found.Client.Hops == nil {
		found.Client.Hops = []Hop{}
	}
	writeJSON(w, http.StatusOK, "application/json", &found)
	return nil
}

// stats counts.
func (s *Server) stats(w http.ResponseWriter, _ *http.Request, _ url.Values) error {
	writeJSON(w, http.StatusOK, "application/json", s.o.Cache.Stats())
	return nil
}

// zones lists the health of zones.
func (s *Server) zones(w http.ResponseWriter, _ *http.Request, _ url.Values) error {
	list := s.o.Resolver.Zones()
	if list.Zones == nil {
		list.Zones = []Zone{}
	}
	if list.Suggestions == nil {
		list.Suggestions = []Suggestion{}
	}
	writeJSON(w, http.StatusOK, "application/json", &list)
	return nil
}

// flush forgets, and logs that somebody wanted it.
func (s *Server) flush(w http.ResponseWriter, r *http.Request, _ url.Values) error {
	var f Flush
	if err := readBody(r, &f); err != nil {
		return err
	}
	given := 0
	for _, one := range []bool{f.Name != "", f.Zone != "", f.Stale, f.Negative} {
		if one {
			given++
		}
	}
	if given != 1 || f.Type != "" && f.Name == "" {
		return badRequest("it is not clear what to flush", `give exactly one of {"name": …} (perhaps with "type"), {"zone": …}, {"stale": true}, {"negative": true}`)
	}
	n, err := s.forget(&f)
	if err != nil {
		return err
	}
	s.o.Log.Info("cache flushed on request", "name", f.Name, "type", f.Type, "zone", f.Zone, "stale", f.Stale, "negative", f.Negative, "entries", n)
	writeJSON(w, http.StatusOK, "application/json", Flushed{n})
	return nil
}

func (s *Server) forget(f *Flush) (int, error) {
	switch {
	case f.Stale:
		return s.o.Cache.FlushStale(), nil
	case f.Negative:
		return s.o.Cache.FlushNegative(), nil
	case f.Zone != "":
		zone, err := readName("zone", f.Zone)
		if err != nil {
			return 0, err
		}
		return s.o.Cache.FlushZone(zone), nil
	}
	name, err := readName("name", f.Name)
	if err != nil {
		return 0, err
	}
	t, err := readType(f.Type, wire.TypeNone)
	if err != nil {
		return 0, err
	}
	if t == wire.TypeANY {
		t = wire.TypeNone
	}
	return s.o.Cache.Flush(name, t), nil
}

// dumpPatience is how long a dump's reader may read nothing.
const dumpPatience = 10 * time.Second

// dump streams entries, one JSON object a line. It holds one entry and a buffer
// at a time, however large the cache is, and ends when the reader goes.
func (s *Server) dump(w http.ResponseWriter, r *http.Request, q url.Values) error {
	f, limit, err := readFilter(q)
	if err != nil {
		return err
	}
	select {
	case s.dumps <- struct{}{}:
		defer func() { <-s.dumps }()
	default:
		return busy("too many dumps at once")
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Cache-Control", "no-store")
	if r.Method == http.MethodHead {
		return nil
	}
	out := bufio.NewWriterSize(&patient{w: w, rc: http.NewResponseController(w), clock: s.o.Clock}, 32<<10)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	sent := 0
	s.o.Cache.Dump(r.Context(), f, func(e Entry) bool {
		if enc.Encode(e) != nil {
			return false
		}
		sent++
		return sent != limit
	})
	if out.Flush() != nil || r.Context().Err() != nil {
		panic(http.ErrAbortHandler) // net/http's way to end without the last chunk: whoever reads sees that it is not all
	}
	return nil
}

// patient gives each write its own deadline: a dump may take long, a reader who
// has stopped reading may not.
type patient struct {
	w     io.Writer
	rc    *http.ResponseController
	clock *clock.Clock
}

func (p *patient) Write(b []byte) (int, error) {
	_ = p.rc.SetWriteDeadline(p.clock.Deadline(dumpPatience))
	return p.w.Write(b)
}

// readFilter reads which entries a dump is of, and how many at most; 0: all.
func readFilter(q url.Values) (Filter, int, error) {
	f := Filter{Zone: dnsname.Root}
	switch state := q.Get("state"); state {
	case "", "all":
		f.Fresh, f.Stale = true, true
	case "fresh":
		f.Fresh = true
	case "stale":
		f.Stale = true
	default:
		return f, 0, badRequest("unknown state "+quote(state), "give fresh, stale or all")
	}
	if q.Has("zone") {
		var err error
		if f.Zone, err = readName("parameter zone", q.Get("zone")); err != nil {
			return f, 0, err
		}
	}
	if !q.Has("limit") {
		return f, 0, nil
	}
	limit, err := strconv.Atoi(q.Get("limit"))
	if err != nil || limit < 1 {
		return f, 0, badRequest("limit "+quote(q.Get("limit"))+" is no number of entries", "give a number from 1")
	}
	return f, limit, nil
}
