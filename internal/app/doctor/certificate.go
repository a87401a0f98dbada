package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"time"
)

// endsSoon is before the end of a certificate that should have been renewed.
const endsSoon = 14 * 24 * time.Hour

// checkCertificate looks at what the door shows: its name, its chain, its end.
func checkCertificate(_ context.Context, w *World, r *report) {
	if errors.Is(w.CertificateError, fs.ErrPermission) {
		r.untold("what the certificate is", w.CertificateError)
		return
	}
	if w.CertificateError != nil {
		r.add(Failure, "A certificate can't be read: %v.", w.CertificateError).because("The server does not start without it.")
	}
	if len(w.Config.TLS.Certificate) == 0 {
		r.add(Warning, "%s has no certificate of its own; the server makes a self-signed one.", w.Config.Hostname).
			because("Mail programs warn or refuse, and no MTA-STS policy can be met. Other servers take it.").
			do("# in facteur.toml, with the files of certbot, lego or acme.sh:", "[tls]",
				`certificate = ["/etc/letsencrypt/live/`+w.Config.Hostname+`/fullchain.pem"]`, `key = ["/etc/letsencrypt/live/`+w.Config.Hostname+`/privkey.pem"]`)
		return
	}
	named := false
	for i, c := range w.Certificates {
		if c.Leaf == nil {
			continue
		}
		named = named || c.Leaf.VerifyHostname(w.Config.Hostname) == nil
		checkLeaf(w, c, w.Config.TLS.Certificate[min(i, len(w.Config.TLS.Certificate)-1)], r)
	}
	if !named && len(w.Certificates) > 0 {
		r.add(Failure, "No certificate is for %s, the name of this machine.", w.Config.Hostname).because("Mail programs and MTA-STS compare the names.")
	}
	if len(r.list) == 0 {
		r.add(OK, "The certificate is for %s, trusted, and good until %s.", w.Config.Hostname, w.Certificates[0].Leaf.NotAfter.UTC().Format(time.DateOnly))
	}
}

func checkLeaf(w *World, c tls.Certificate, file string, r *report) {
	switch end := c.Leaf.NotAfter; {
	case w.Now.After(end):
		r.about(file, Failure, "The certificate in %s expired on %s.", file, end.UTC().Format(time.DateOnly)).because("Mail programs refuse it.").do("facteur check   # after it is renewed; then SIGHUP")
		return
	case w.Now.After(end.Add(-endsSoon)):
		r.about(file, Warning, "The certificate in %s expires on %s, and should have been renewed by now.", file, end.UTC().Format(time.DateOnly)).
			because("Mail programs refuse it from then on.")
	}
	options := x509.VerifyOptions{Roots: w.Roots, Intermediates: x509.NewCertPool(), CurrentTime: w.Now}
	for _, der := range c.Certificate[1:] {
		if parsed, err := x509.ParseCertificate(der); err == nil {
			options.Intermediates.AddCert(parsed)
		}
	}
	if _, err := c.Leaf.Verify(options); err != nil {
		r.about(file, Warning, "The certificate in %s does not lead to an authority that others know: %v.", file, err).
			because("Mail programs warn or refuse. Often the file has no chain: use fullchain.pem.")
	}
}
