package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"facteur/internal/base/conf"
)

// fileLimit is the most bytes of a settings file; beyond it something else was
// named by mistake.
const fileLimit = 4 << 20

// searched is where the file is looked for when none is named.
var searched = [...]string{"facteur.toml", "/etc/facteur/facteur.toml"}

// Find is the path of the settings file: what the user named, else the first of
// ./facteur.toml and /etc/facteur/facteur.toml that exists.
func Find(named string) (string, error) {
	if named != "" {
		return named, nil
	}
	for _, path := range searched {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			return filepath.Abs(path)
		}
	}
	return "", fmt.Errorf("no settings file: neither ./%s nor %s is there; \"facteur init DOMAIN\" writes one", searched[0], searched[1])
}

// Load reads and checks the file at path. The error holds one line for every
// mistake.
func Load(path string) (*Config, error) {
	text, err := read(path)
	if err != nil {
		return nil, err
	}
	c, err := Parse(path, text)
	if err != nil {
		return nil, err
	}
	if errs := c.Check(); len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return c, nil
}

func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("settings: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, fileLimit+1))
	if err != nil {
		return nil, fmt.Errorf("settings: %w", err)
	}
	if len(text) > fileLimit {
		return nil, fmt.Errorf("settings: %s is larger than 4 MB", path)
	}
	return text, nil
}

// Parse reads text as the file at path, without the checks that look at the disk.
func Parse(path string, text []byte) (*Config, error) {
	c := Default()
	positions, err := conf.Decode(path, text, c)
	if err != nil {
		return nil, translated(err)
	}
	c.path, c.positions = path, positions
	c.complete()
	return c, nil
}

// complete fills in what follows from other settings: ports of services, and
// absolute paths.
func (c *Config) complete() {
	for i := range c.Listen {
		c.Listen[i].Address = c.Listen[i].Address.WithPort(c.Listen[i].Service.Port())
	}
	for i := range c.DNS.Servers {
		c.DNS.Servers[i] = c.DNS.Servers[i].WithPort(53)
	}
	for i := range c.Outbound.Smarthost {
		c.Outbound.Smarthost[i] = c.Outbound.Smarthost[i].WithPort(c.Outbound.Port)
	}
	c.completeDNSLists()
	dir := filepath.Dir(c.path)
	c.DataDir = from(dir, c.DataDir)
	for _, files := range [][]string{c.TLS.Certificate, c.TLS.Key} {
		for i := range files {
			files[i] = from(dir, files[i])
		}
	}
	c.Auth.complete(dir)
	c.Notices.TemplateFile = from(dir, c.Notices.TemplateFile)
	if c.Log.Destination != "stderr" {
		c.Log.Destination = from(dir, c.Log.Destination)
	}
}

// from is path, counted from dir if it is relative.
func from(dir, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	full, err := filepath.Abs(filepath.Join(dir, path))
	if err != nil {
		return filepath.Join(dir, path)
	}
	return full
}
