package control

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"runtime/pprof"
	"strconv"
	"time"
)

// How long a CPU profile takes, seconds, unless the request says: a profile is
// in memory until it ends, and there is one at a time in a process.
const (
	profileSeconds = 10
	maxProfile     = 60
)

// profileCPU tells where the program spends its processor time, in pprof's form.
func (s *Server) profileCPU(w http.ResponseWriter, r *http.Request, q url.Values) error {
	seconds := profileSeconds
	if text := q.Get("seconds"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxProfile {
			return badRequest("seconds must be a number from 1 to "+strconv.Itoa(maxProfile)+", not "+quote(text), "take several profiles, go tool pprof joins them")
		}
		seconds = n
	}
	if r.Method == http.MethodHead {
		return nil
	}
	_ = http.NewResponseController(w).SetWriteDeadline(s.o.Clock.Deadline(time.Duration(seconds)*time.Second + dumpPatience))
	var buf bytes.Buffer
	if err := pprof.StartCPUProfile(&buf); err != nil {
		return busy("the program is being profiled already")
	}
	ctx, cancel := context.WithTimeout(r.Context(), time.Duration(seconds)*time.Second)
	defer cancel()
	<-ctx.Done() // also when nobody wants it any more
	pprof.StopCPUProfile()
	return sendProfile(w, buf.Bytes())
}

// profileHeap tells what the heap holds and who allocated it. The cache's entries
// lie outside it.
func (s *Server) profileHeap(w http.ResponseWriter, _ *http.Request, _ url.Values) error {
	return lookupProfile(w, "heap")
}

// profileGoroutines tells where all goroutines are.
func (s *Server) profileGoroutines(w http.ResponseWriter, _ *http.Request, _ url.Values) error {
	return lookupProfile(w, "goroutine")
}

func lookupProfile(w http.ResponseWriter, name string) error {
	var buf bytes.Buffer
	if err := pprof.Lookup(name).WriteTo(&buf, 0); err != nil {
		return problem(http.StatusInternalServerError, "profile "+name+": "+err.Error(), "try again")
	}
	return sendProfile(w, buf.Bytes())
}

func sendProfile(w http.ResponseWriter, profile []byte) error {
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(profile) // who has gone does not want it
	return nil
}
