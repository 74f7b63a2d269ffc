package control

import "time"

// What the API takes and gives. Field names are in openapi.json too, which a
// test holds against these types. Times are RFC 3339, UTC; names are in
// presentation form, lower case, with the dot at the end.

// Entry is one RRset or denial in the cache.
type Entry struct {
	Name        string      `json:"name"`
	Type        string      `json:"type,omitempty"` // of the RRset, or the type that is denied; none for nxdomain, which denies all
	Kind        string      `json:"kind"`           // data, nodata, nxdomain
	State       string      `json:"state"`          // fresh, stale, gone
	Age         int64       `json:"age_seconds"`    // since it was stored
	TTL         uint32      `json:"ttl"`            // seconds left; 0 unless fresh
	OriginalTTL uint32      `json:"original_ttl"`   // seconds, after the bounds of the configuration
	Expires     time.Time   `json:"expires"`        // when its TTL elapses or did
	StaleUntil  time.Time   `json:"stale_until"`    // it is never served from then on; the same as expires when it is never stale
	Rank        string      `json:"rank"`           // answer of an authority, answer, authority section (RFC 2181 §5.4.1)
	Security    string      `json:"security"`       // unchecked, insecure, secure, indeterminate, bogus
	Cut         string      `json:"cut,omitempty"`  // the zone whose servers gave it
	Data        []string    `json:"data,omitempty"`
	Signatures  []string    `json:"signatures,omitempty"`
	Proof       []RecordSet `json:"proof,omitempty"` // of a denial: the SOA first
}

// RecordSet is an RRset in an entry's proof.
type RecordSet struct {
	Name       string   `json:"name"`
	Type       string   `json:"type"`
	Data       []string `json:"data"`
	Signatures []string `json:"signatures,omitempty"`
}

// Lookup is everything cached at a name, and what a client would get who asked
// for a type there now.
type Lookup struct {
	Name    string      `json:"name"`
	Type    string      `json:"type"` // that the client would ask for
	Entries []Entry     `json:"entries"`
	Client  Explanation `json:"client"`
}

// Explanation is what a client would get now, and why, as far as it can be told
// without asking anybody.
type Explanation struct {
	Outcome string `json:"outcome"`         // fresh, stale, resolve, failure, local
	Rcode   string `json:"rcode,omitempty"` // when it is known already
	Wait    int64  `json:"wait_ms"`         // at most, until the client is answered
	Why     string `json:"why"`
	Hops    []Hop  `json:"hops"` // of the chain of aliases, as far as it is known
}

// Hop is one name of a chain of aliases.
type Hop struct {
	Name     string `json:"name"`
	Type     string `json:"type"`               // what speaks for the name: CNAME and DNAME lead on
	Kind     string `json:"kind,omitempty"`     // of that: data, nodata, nxdomain; none when it is absent
	Security string `json:"security,omitempty"` // what validation made of that: as of an entry; none when it is absent or local
	State    string `json:"state"`              // fresh, stale, absent, local
	Decision string `json:"decision"`           // serve, serve stale, wait, fail
	TTL      uint32 `json:"ttl"`                // that the client would see, 0 when it would not see the hop yet
	Refresh  bool   `json:"refresh"`            // something better is asked for, behind the answer
	Target   string `json:"target,omitempty"`   // where the alias leads
	Why      string `json:"why"`
}

// Flush says what is to be forgotten: exactly one of a name (all its types, or
// one), a zone with all below it, all that is stale, or all denials.
type Flush struct {
	Name     string `json:"name,omitempty"`
	Type     string `json:"type,omitempty"` // with name
	Zone     string `json:"zone,omitempty"`
	Stale    bool   `json:"stale,omitempty"`
	Negative bool   `json:"negative,omitempty"`
}

// Flushed tells how many entries went.
type Flushed struct {
	Flushed int `json:"flushed"`
}

// CacheStats counts what is in the cache and what became of it since the start.
type CacheStats struct {
	Size        int64     `json:"size_bytes"` // the budget
	Used        int64     `json:"used_bytes"`
	Held        int64     `json:"held_bytes"` // taken from the system
	Entries     int64     `json:"entries"`
	Stale       int64     `json:"stale"` // of the entries: expired, and may still be served; as counted up to 10 s ago
	Delegations int64     `json:"delegations"`
	Failures    int64     `json:"failures"` // questions remembered to have failed
	Hits        uint64    `json:"hits"`
	StaleHits   uint64    `json:"stale_hits"`
	Misses      uint64    `json:"misses"`
	Puts        uint64    `json:"puts"`
	Refused     uint64    `json:"refused"`  // not stored: outranked or too large
	Replaced    uint64    `json:"replaced"` // by newer ones of the same name, type and kind
	Evicted     Evictions `json:"evicted"`
}

// Evictions are the entries that went, by why.
type Evictions struct {
	Gone         uint64 `json:"gone"`    // beyond being served
	Unasked      uint64 `json:"unasked"` // expired, and nobody had asked since
	Recency      uint64 `json:"recency"` // to make room
	Contradicted uint64 `json:"contradicted"`
	Types        uint64 `json:"types"`  // too many types at a name
	Buried       uint64 `json:"buried"` // with a zone that was flushed or denied
	Flushed      uint64 `json:"flushed"`
	Delegations  uint64 `json:"delegations"`
	Failures     uint64 `json:"failures"`
}

// ZoneList is the health of the zones that something is known of.
type ZoneList struct {
	Offline      bool      `json:"offline"`                // none of several name servers that were asked answers
	OfflineSince time.Time `json:"offline_since,omitzero"` // when offline
	Zones        []Zone    `json:"zones"`

	// Suggestions are of zones that validated before and now fail in many names, the
	// one with the most questions first.
	Suggestions []Suggestion `json:"suggestions"`
}

// Suggestion tells of one of those, and what would end it.
type Suggestion struct {
	Zone        string    `json:"zone"`
	Since       time.Time `json:"since"`
	LastFailure time.Time `json:"last_failure"`
	Code        int       `json:"code"`                     // the cause's, of RFC 8914
	Cause       string    `json:"cause"`                    // of one of the names, in words
	Names       int64     `json:"names"`                    // that failed
	Questions   int64     `json:"questions"`                // of clients that met it
	StaleNames  int64     `json:"stale_names"`              // that the last good answer was given for
	StaleFirst  time.Time `json:"stale_first_end,omitzero"` // when the first of those ends
	StaleLast   time.Time `json:"stale_last_end,omitzero"`  // and the last
	Command     string    `json:"command"`
}

// Zone is what is known of a zone cut's servers together.
type Zone struct {
	Zone          string    `json:"zone"`
	State         string    `json:"state"` // well, suspect, failing
	Cause         string    `json:"cause,omitempty"`
	Since         time.Time `json:"since,omitzero"` // of the state
	LastFailure   time.Time `json:"last_failure,omitzero"`
	NextRecheck   time.Time `json:"next_recheck,omitzero"`
	ClientTimeout int64     `json:"client_timeout_ms"` // how long a client waits before it gets something stale
	Learned       int64     `json:"learned_timeout_ms"`
	Samples       int       `json:"samples"` // resolutions that the learned timeout is made of
}
