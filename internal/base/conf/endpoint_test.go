package conf

import "testing"

func TestEndpoint(t *testing.T) {
	t.Parallel()
	for in, want := range map[string][2]string{
		"inet:localhost:8891":    {"tcp", "localhost:8891"},
		"inet:8891@localhost":    {"tcp", "localhost:8891"},
		"inet6:[::1]:8891":       {"tcp6", "[::1]:8891"},
		"inet6:8891@::1":         {"tcp6", "[::1]:8891"},
		"inet:[2001:db8::1]:10":  {"tcp", "[2001:db8::1]:10"},
		"inet4:127.0.0.1:1":      {"tcp4", "127.0.0.1:1"},
		"127.0.0.1:10023":        {"tcp", "127.0.0.1:10023"},
		"unix:/run/x.sock":       {"unix", "/run/x.sock"},
		"local:/run/x.sock":      {"unix", "/run/x.sock"},
		"/run/x.sock":            {"unix", "/run/x.sock"},
		"inet:localhost":         {},
		"inet::8891":             {},
		"unix:private/x":         {},
		"unix:":                  {},
		"inet:host:0":            {},
		"inet:host:99999":        {},
		"inet:a b:1":             {},
		"":                       {},
		"hash:/etc/postfix/what": {},
	} {
		var e Endpoint
		err := e.UnmarshalText([]byte(in))
		if (err == nil) != (want[0] != "") || e.Network != want[0] || e.Address != want[1] {
			t.Errorf("%q: %q %q, %v", in, e.Network, e.Address, err)
		}
		if err == nil && e.String() != in {
			t.Errorf("%q is shown as %q", in, e)
		}
	}
}
