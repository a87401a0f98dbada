package doctor

import (
	"context"

	"facteur/internal/base/lookup"
)

// checkServices: mail programs find the servers of a domain by its SRV records (RFC 6186,
// RFC 8314).
func checkServices(ctx context.Context, w *World, d Domain, r *report) {
	h := w.house(d)
	if !d.Receives || d.Backup {
		return
	}
	missing := []string{}
	for _, s := range h.Services {
		name := "_" + s.Name + "._tcp." + d.Name
		want := h.Service(s).String()
		a := w.Resolver.LookupSRV(ctx, name)
		switch {
		case a.State() == lookup.TryAgain:
			r.about(name, Unknown, "It could not be told which SRV records %s has: %v.", name, a.Err())
		case a.State() == lookup.NotFound || len(a.Value()) == 0:
			missing = append(missing, want)
		case a.Value()[0].Host != h.Hostname || a.Value()[0].Port != s.Port:
			r.about(name, Warning, "%s leads mail programs to %s, port %d, not to %s, port %d.", name, orNowhere(a.Value()[0].Host), a.Value()[0].Port, h.Hostname, s.Port).
				because("Mail programs that go by it do not find their mail.").do(want)
		}
	}
	if len(missing) > 0 {
		r.add(Note, "%s does not tell mail programs where its services are.", d.Name).
			because("With these records, many programs need only the address and the password.").do(missing...)
	}
	if len(r.list) == 0 && len(h.Services) > 0 {
		r.add(OK, "Mail programs find the services of %s.", d.Name)
	}
}

func orNowhere(host string) string {
	if host == "" {
		return "nowhere"
	}
	return host
}
