package control

import (
	"errors"
	"net/http"
	"net/url"
	"time"

	"lastgood/internal/dnsname"
)

// NTA is a negative trust anchor (RFC 7646): until it ends, nothing at or below
// its zone is validated.
type NTA struct {
	Zone       string    `json:"zone"`
	Added      time.Time `json:"added"`
	Until      time.Time `json:"until"`
	Reason     string    `json:"reason"`
	Forced     bool      `json:"forced"`     // it stays to its end, even if the zone validates again
	Configured bool      `json:"configured"` // it comes from the configuration, and is removed there
	Kept       bool      `json:"kept"`       // it outlives a restart
	Checked    time.Time `json:"checked,omitzero"`
	Trouble    string    `json:"trouble,omitempty"` // why the zone did not validate when it was checked
}

// NTAList is all of them, in canonical order of their zones.
type NTAList struct {
	NTAs []NTA `json:"ntas"`
}

// NTAAdd asks for one. At most one of For and Until is given; without them it
// lasts an hour.
type NTAAdd struct {
	Zone   string     `json:"zone"`
	For    int64      `json:"for_seconds,omitempty"` // at most a week
	Until  *time.Time `json:"until,omitempty"`
	Reason string     `json:"reason,omitempty"`
	Forced bool       `json:"forced,omitempty"`
}

// NTARemove says which is to end.
type NTARemove struct {
	Zone string `json:"zone"`
}

// NTAs is what the API needs of the negative trust anchors. Its errors say what
// to do.
type NTAs interface {
	NTAs() []NTA
	// AddNTA adds one, from now: until is the zero time for the default. What comes
	// back is the one that counts for the zone.
	AddNTA(zone dnsname.Name, until time.Time, reason string, forced bool) (NTA, error)
	// RemoveNTA ends one that was added; its error is ErrNoNTA where there is none.
	// What comes back is Kept if a restart does not bring it back.
	RemoveNTA(zone dnsname.Name) (NTA, error)
}

// ErrNoNTA is the error of removing what is not there.
var ErrNoNTA = errors.New("there is no such negative trust anchor; `lastgood nta list` shows those there are")

// longestNTA is in seconds: what is more would not be a time any more.
const longestNTA = 366 * 24 * 3600

// negatives gives who knows the negative trust anchors.
func (s *Server) negatives() (NTAs, error) {
	if s.o.NTAs == nil {
		return nil, problem(http.StatusConflict, "nothing is validated here, so nothing has to be kept from it", "set dnssec.validation to true")
	}
	return s.o.NTAs, nil
}

func (s *Server) listNTAs(w http.ResponseWriter, _ *http.Request, _ url.Values) error {
	n, err := s.negatives()
	if err != nil {
		return err
	}
	list := NTAList{NTAs: n.NTAs()}
	if list.NTAs == nil {
		list.NTAs = []NTA{}
	}
	writeJSON(w, http.StatusOK, "application/json", &list)
	return nil
}

func (s *Server) addNTA(w http.ResponseWriter, r *http.Request, _ url.Values) error {
	n, err := s.negatives()
	if err != nil {
		return err
	}
	var a NTAAdd
	if err := readBody(r, &a); err != nil {
		return err
	}
	zone, err := readName("zone", a.Zone)
	if err != nil {
		return err
	}
	var until time.Time
	switch {
	case a.For != 0 && a.Until != nil:
		return badRequest("for_seconds and until are both given", "give one of them, or none for an hour")
	case a.For < 0 || a.For > longestNTA:
		return badRequest("for_seconds is no time that a negative trust anchor may last", "give up to 604800, a week")
	case a.For > 0:
		until = s.o.Clock.Wall().Add(time.Duration(a.For) * time.Second)
	case a.Until != nil && a.Until.IsZero(): // which would mean the default
		return badRequest("until is the year 1", "give an end that is ahead")
	case a.Until != nil:
		until = *a.Until
	}
	added, err := n.AddNTA(zone, until, a.Reason, a.Forced)
	if err != nil {
		return badRequest(advised(err))
	}
	writeJSON(w, http.StatusOK, "application/json", &added)
	return nil
}

func (s *Server) removeNTA(w http.ResponseWriter, r *http.Request, _ url.Values) error {
	n, err := s.negatives()
	if err != nil {
		return err
	}
	var a NTARemove
	if err := readBody(r, &a); err != nil {
		return err
	}
	zone, err := readName("zone", a.Zone)
	if err != nil {
		return err
	}
	removed, err := n.RemoveNTA(zone)
	if err != nil {
		detail, advice := advised(err)
		status := http.StatusConflict
		if errors.Is(err, ErrNoNTA) {
			status = http.StatusNotFound
		}
		return problem(status, detail, advice)
	}
	writeJSON(w, http.StatusOK, "application/json", &removed)
	return nil
}
