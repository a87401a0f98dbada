package pop3d

import (
	"testing"
	"time"
)

// EXPIRE must not promise more than holds (RFC 2449 §6.7).
func TestExpiry(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "NEVER", time.Hour: "0", 30 * 24 * time.Hour: "30", 47 * time.Hour: "1"} {
		if got := expiry(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}
