package config

import (
	"embed"
	"io"
	"io/fs"
	"maps"

	"facteur/internal/base/conf"
)

// sources are the files that declare settings: their doc comments are the
// reference.
//
//go:embed config.go access.go auth.go directory.go submission.go journey.go limits.go list.go listener.go maps.go mailbox.go milter.go namespace.go notices.go session.go pregreet.go outbound.go pop3.go transport.go tlspolicy.go addresses.go
//go:embed spf.go dkim.go dkimsign.go arc.go dmarc.go
//go:embed learn.go reports.go rewrite.go forwarding.go unix.go
//go:embed doctor.go
//go:embed filter.go
//go:embed dnslist.go attachments.go
//go:embed reputation.go
//go:embed scanner.go
//go:embed filterpolicy.go quarantine.go
//go:embed greylist.go
//go:embed brake.go
var sources embed.FS

// WriteDefaults writes every setting with its comment and default, as a file that
// can be used: what "postconf -d" tells, and more.
func WriteDefaults(w io.Writer) error {
	tables, err := Default().tables()
	if err != nil {
		return err
	}
	return conf.WriteSample(w, tables, false)
}

// WriteReference writes the page docs/SETTINGS.md.
func WriteReference(w io.Writer) error {
	tables, err := Default().tables()
	if err != nil {
		return err
	}
	const head = "# Settings\n\nEverything that can be written in `facteur.toml`. This page is made from the doc\n" +
		"comments in internal/app/config/config.go; `go test ./internal/app/config -update` writes it anew.\n" +
		"\nDurations are written `90s`, `5m`, `4h`, `5d`; sizes in bytes or as `50M` (K, M, G, T: powers of 1024).\n"
	if _, err := io.WriteString(w, head); err != nil {
		return err
	}
	return conf.WriteReference(w, tables)
}

// WriteShow writes every setting as it is in force.
func (c *Config) WriteShow(w io.Writer) error {
	tables, err := c.tables()
	if err != nil {
		return err
	}
	return conf.WriteSettings(w, tables)
}

// WriteDiff writes the settings that are not as in an empty file.
func (c *Config) WriteDiff(w io.Writer) error {
	tables, err := c.tables()
	if err != nil {
		return err
	}
	base, err := Default().tables()
	if err != nil {
		return err
	}
	return conf.WriteSettings(w, conf.Differences(tables, base))
}

func (c *Config) tables() ([]conf.Table, error) {
	docs, err := readDocs()
	if err != nil {
		return nil, err
	}
	return conf.Tables(docs, c), nil
}

func readDocs() (conf.Docs, error) {
	docs := conf.Docs{}
	files, err := fs.Glob(sources, "*.go")
	if err != nil {
		return nil, err
	}
	for _, name := range files {
		src, err := sources.ReadFile(name)
		if err != nil {
			return nil, err
		}
		more, err := conf.ReadDocs(src)
		if err != nil {
			return nil, err
		}
		maps.Copy(docs, more)
	}
	return docs, nil
}
