package control

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestProfiles(t *testing.T) {
	base := startAPI(t, &fakeCache{})
	for _, path := range []string{"heap", "goroutines", "cpu?seconds=1"} {
		resp, err := http.Get(base + "/api/v1/profile/" + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || !strings.HasPrefix(string(body), "\x1f\x8b") {
			t.Errorf("%s: %s, %d octets beginning with %.10q, %v", path, resp.Status, len(body), body, err)
		}
	}
	for _, seconds := range []string{"0", "61", "ten"} {
		resp, err := http.Get(base + "/api/v1/profile/cpu?seconds=" + seconds)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusBadRequest {
			t.Errorf("for %s seconds: %s", seconds, resp.Status)
		}
	}
}
