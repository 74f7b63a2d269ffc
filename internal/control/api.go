package control

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"lastgood/internal/dnsname"
	"lastgood/internal/wire"
)

// VersionHeader is in every reply, with APIVersion, which changes when clients
// that know the old one would misunderstand the API.
const (
	VersionHeader = "Lastgood-Api"
	APIVersion    = "1"
)

// Bounds of the API.
const (
	maxCalls = 16      // requests at once, beside health and metrics
	maxDumps = 2       // of them dumps
	maxBody  = 4 << 10 // octets of a request's body
)

//go:embed openapi.json
var description []byte

// Cache is what the API needs of the cache. Its methods are called from many
// goroutines at once.
type Cache interface {
	// Entries lists everything at a name, fresh and stale.
	Entries(name dnsname.Name) []Entry
	// Dump hands entries to yield until that says false or ctx ends. Nobody
	// waits for yield.
	Dump(ctx context.Context, f Filter, yield func(Entry) bool)
	// Each Flush forgets and tells how many entries went; TypeNone is all types.
	Flush(name dnsname.Name, t wire.Type) int
	FlushZone(zone dnsname.Name) int
	FlushStale() int
	FlushNegative() int
	Stats() CacheStats
}

// Resolver is what the API needs of the resolver.
type Resolver interface {
	// Explain tells what a client would get now; it asks nobody.
	Explain(name dnsname.Name, t wire.Type) Explanation
	Zones() ZoneList
}

// Filter says which entries a dump is of.
type Filter struct {
	Fresh, Stale bool
	Zone         dnsname.Name // only what is at or below it; the root: everything
}

// endpoint is one address with its one method. The description is held against
// these by a test.
type endpoint struct {
	method, path string
	params       []string // that the query may have, each once
	takes, gives any      // JSON; nil: no body, or text
	serve        func(w http.ResponseWriter, r *http.Request, q url.Values) error
}

// endpoints lists everything that the server answers.
func (s *Server) endpoints() []endpoint {
	list := []endpoint{
		{method: "GET", path: "/{$}", serve: s.index},
		{method: "GET", path: "/health/live", serve: s.live},
		{method: "GET", path: "/health/ready", serve: s.ready},
		{method: "GET", path: "/metrics", serve: s.metrics()},
	}
	if s.o.Cache != nil {
		list = append(list,
			endpoint{method: "GET", path: "/api/v1/cache/lookup", params: []string{"name", "type"}, gives: Lookup{}, serve: s.lookup},
			endpoint{method: "GET", path: "/api/v1/cache/dump", params: []string{"state", "zone", "limit"}, gives: Entry{}, serve: s.dump},
			endpoint{method: "POST", path: "/api/v1/cache/flush", takes: Flush{}, gives: Flushed{}, serve: s.flush},
			endpoint{method: "GET", path: "/api/v1/cache/stats", gives: CacheStats{}, serve: s.stats},
			endpoint{method: "GET", path: "/api/v1/zones", gives: ZoneList{}, serve: s.zones},
			endpoint{method: "GET", path: "/api/v1/root-zone", gives: RootZone{}, serve: s.rootZone},
			endpoint{method: "GET", path: "/api/v1/nta/list", gives: NTAList{}, serve: s.listNTAs},
			endpoint{method: "POST", path: "/api/v1/nta/add", takes: NTAAdd{}, gives: NTA{}, serve: s.addNTA},
			endpoint{method: "POST", path: "/api/v1/nta/remove", takes: NTARemove{}, gives: NTA{}, serve: s.removeNTA},
			endpoint{method: "GET", path: "/api/v1/profile/cpu", params: []string{"seconds"}, serve: s.profileCPU},
			endpoint{method: "GET", path: "/api/v1/profile/heap", serve: s.profileHeap},
			endpoint{method: "GET", path: "/api/v1/profile/goroutines", serve: s.profileGoroutines},
			endpoint{method: "GET", path: "/api/v1/openapi.json", serve: s.describe},
		)
	}
	return list
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	for _, e := range s.endpoints() {
		mux.HandleFunc(e.path, func(w http.ResponseWriter, r *http.Request) {
			var p *Problem
			if err := s.answer(e, w, r); errors.As(err, &p) {
				p.write(w)
			}
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		notFound(w, r)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != path.Clean(r.URL.Path) { // the mux would send them elsewhere
			notFound(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func notFound(w http.ResponseWriter, r *http.Request) {
	problem(http.StatusNotFound, "there is nothing at "+quote(r.URL.Path), "see /api/v1/openapi.json for what there is").write(w)
}

// answer checks what is the same for all endpoints, then serves one. Its error
// is a *Problem.
func (s *Server) answer(e endpoint, w http.ResponseWriter, r *http.Request) error {
	if r.Method != e.method && !(r.Method == http.MethodHead && e.method == http.MethodGet) {
		w.Header().Set("Allow", e.method)
		return problem(http.StatusMethodNotAllowed, quote(r.Method)+" is not for "+r.URL.Path, "use "+e.method)
	}
	if !strings.HasPrefix(e.path, "/api/") { // probes may add what they like
		return e.serve(w, r, nil)
	}
	q, err := e.query(r)
	if err != nil {
		return err
	}
	if e.takes != nil { // first, for it comes as slowly as its sender likes
		if err := fetchBody(w, r); err != nil {
			return err
		}
	}
	select {
	case s.calls <- struct{}{}:
		defer func() { <-s.calls }()
	default:
		return busy("too many requests at once")
	}
	return e.serve(w, r, q)
}

// query reads the parameters. One that is misspelt must not be passed over: a
// dump without its filter, say, would be of everything.
func (e *endpoint) query(r *http.Request) (url.Values, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, badRequest("the query cannot be read: "+err.Error(), "encode it as a URL's (curl -G --data-urlencode)")
	}
	known := strings.Join(e.params, ", ")
	if known == "" {
		known = "none"
	}
	for name, values := range q {
		switch {
		case !slices.Contains(e.params, name):
			return nil, badRequest("unknown parameter "+quote(name), "the parameters of "+e.path+": "+known)
		case len(values) > 1:
			return nil, badRequest("parameter "+quote(name)+" is given more than once", "give it once")
		}
	}
	return q, nil
}

// fetchBody reads a request's body, whose place the copy takes. A page's form
// cannot send this content type without the browser asking first, which is
// refused.
func fetchBody(w http.ResponseWriter, r *http.Request) error {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return problem(http.StatusUnsupportedMediaType, "the body must be JSON and say so", "send Content-Type: application/json")
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return problem(http.StatusRequestEntityTooLarge, "the body is too large", "send one JSON object of at most 4 KiB")
	case err != nil:
		return unreadable(err)
	}
	r.Body = io.NopCloser(bytes.NewReader(data))
	return plainKeys(data)
}

// plainKeys refuses what package json would let pass: keys in another case, and
// a key that is given twice. What is no object is for others to refuse.
func plainKeys(data []byte) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	if start, err := dec.Token(); err != nil || start != json.Delim('{') {
		return nil
	}
	seen := map[string]bool{}
	for dec.More() {
		token, err := dec.Token()
		key, ok := token.(string)
		var value json.RawMessage
		switch {
		case err != nil || !ok || dec.Decode(&value) != nil:
			return nil
		case strings.Trim(key, "abcdefghijklmnopqrstuvwxyz_") != "":
			return badRequest("unknown key "+quote(key), "send one JSON object as /api/v1/openapi.json describes it; case counts")
		case seen[key]:
			return badRequest("key "+quote(key)+" is given more than once", "give it once")
		}
		seen[key] = true
	}
	return nil
}

func unreadable(err error) *Problem {
	return badRequest("the body cannot be read: "+err.Error(), "send one JSON object as /api/v1/openapi.json describes it")
}

// readBody reads the JSON of a body that was fetched into v.
func readBody(r *http.Request, v any) error {
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return unreadable(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return badRequest("there is more behind the JSON object", "send one object only")
	}
	return nil
}

// describe gives the OpenAPI description.
func (s *Server) describe(w http.ResponseWriter, _ *http.Request, _ url.Values) error {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(description)
	return nil
}
