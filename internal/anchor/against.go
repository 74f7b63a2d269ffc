package anchor

import (
	"time"

	"lastgood/internal/dnsname"
)

// Against is a negative trust anchor (RFC 7646): until it ends, nothing at or
// below the zone is validated. It is immutable.
type Against struct {
	Zone       dnsname.Name
	Added      time.Time
	Until      time.Time
	Reason     string // a note for people
	Forced     bool   // it stays until its end even if the zone validates again
	Configured bool   // it comes from the configuration, and is no other's to remove
}
