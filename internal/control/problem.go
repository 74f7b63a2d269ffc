package control

import (
	"encoding/json"
	"net/http"
	"strings"
)

// Problem is every error of the API (RFC 9457, without types of its own).
type Problem struct {
	Status int    `json:"status"`
	Title  string `json:"title"`  // of the status
	Detail string `json:"detail"` // what is wrong with this request
	Advice string `json:"advice"` // what to do
}

func problem(status int, detail, advice string) *Problem {
	return &Problem{Status: status, Title: http.StatusText(status), Detail: detail, Advice: advice}
}

// badRequest is the problem of a request that cannot be understood.
func badRequest(detail, advice string) *Problem {
	return problem(http.StatusBadRequest, detail, advice)
}

// busy is the problem of a request beyond a bound.
func busy(detail string) *Problem {
	return problem(http.StatusServiceUnavailable, detail, "try again when the others have ended")
}

// Error says what is wrong and what to do.
func (p *Problem) Error() string { return p.Detail + ": " + p.Advice }

func (p *Problem) write(w http.ResponseWriter) {
	if p.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	writeJSON(w, p.Status, "application/problem+json", p)
}

// writeJSON sends one value. An error of writing means that nobody listens any
// more.
func writeJSON(w http.ResponseWriter, status int, contentType string, v any) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v)
}

// advised takes an error that says what to do apart.
func advised(err error) (detail, advice string) {
	detail, advice, ok := strings.Cut(err.Error(), "; ")
	if !ok {
		advice = "see /api/v1/openapi.json for what is expected"
	}
	return detail, advice
}
