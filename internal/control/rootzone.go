package control

import (
	"net/http"
	"net/url"
	"time"
)

// RootZone tells where the root comes from, and how the local copy of its zone is
// (RFC 8806).
type RootZone struct {
	Mode        string       `json:"mode"`   // hints, local
	Usable      bool         `json:"usable"` // questions to the root are answered from the copy
	Serial      uint32       `json:"serial,omitempty"`
	Records     int          `json:"records,omitempty"`
	Source      string       `json:"source,omitempty"`       // that gave it in this run
	ConfirmedAt time.Time    `json:"confirmed_at,omitzero"`  // when a source last said that it is current
	Expires     time.Time    `json:"expires,omitzero"`       // when it may not be used any more, if nothing confirms it
	NextCheck   time.Time    `json:"next_check,omitzero"`    // when a source is asked
	Stored      bool         `json:"stored"`                 // it outlives a restart
	Answers     uint64       `json:"answers"`                // questions answered from it
	Fallbacks   uint64       `json:"fallbacks"`              // questions to the root servers when there was none
	Fetched     uint64       `json:"fetched"`                // zones that were newer and verified
	Confirmed   uint64       `json:"confirmed"`              // times that a source had nothing newer
	Failures    uint64       `json:"failures"`               // attempts in vain
	LastFailure string       `json:"last_failure,omitempty"` // when the latest attempt was in vain
	Sources     []RootSource `json:"sources,omitempty"`

	LastFailureSource string    `json:"last_failure_source,omitempty"`
	LastFailureAt     time.Time `json:"last_failure_at,omitzero"`
}

// RootSource is where the root zone comes from.
type RootSource struct {
	Source  string `json:"source"`
	Failure string `json:"failure,omitempty"` // of its last attempt
}

// rootZone tells of the copy.
func (s *Server) rootZone(w http.ResponseWriter, _ *http.Request, _ url.Values) error {
	zone := RootZone{Mode: "hints"}
	if s.o.RootZone != nil {
		zone = s.o.RootZone()
	}
	writeJSON(w, http.StatusOK, "application/json", &zone)
	return nil
}
