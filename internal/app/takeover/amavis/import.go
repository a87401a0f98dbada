package amavis

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"facteur/internal/app/takeover"
)

// Options say what is imported.
type Options struct {
	// Path is amavisd.conf, or a directory with conf.d; Tables, unless empty, a directory
	// with tables as text.
	Path, Tables string
	Hostname     string // what the kernel calls this machine
}

const maxBytes = 16 << 20

// Import adds what an amavis was told to t. An error is a file that can't be read; whatever
// else is wrong stands in the report.
func Import(t *takeover.Takeover, o Options) error {
	i := &importer{t: t, o: o}
	files, err := filesOf(o.Path)
	if err != nil {
		return err
	}
	known := map[string]string{}
	for _, file := range files {
		text, err := readFile(file)
		if err != nil {
			return err
		}
		i.all = append(i.all, Parse(file, string(text), known)...)
	}
	host := o.Hostname
	if !strings.Contains(host, ".") {
		host += ".localdomain" // as Postfix calls such a machine
	}
	i.t.Settings.Table("").Set("hostname", host, "to be left out where facteur.toml has it")
	for n, s := range i.all {
		i.t.Report.Add(i.setting(n, s))
	}
	i.finish()
	if o.Tables == "" {
		return nil
	}
	return i.tables()
}

// filesOf are the files of a path, in the order in which amavis reads them.
func filesOf(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil || !info.IsDir() {
		return []string{path}, err
	}
	for _, dir := range []string{filepath.Join(path, "conf.d"), path} {
		files, err := filepath.Glob(filepath.Join(dir, "[0-9][0-9]-*"))
		if err == nil && len(files) > 0 {
			slices.Sort(files)
			return files, nil
		}
	}
	return []string{filepath.Join(path, "amavisd.conf")}, nil
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	if err == nil && len(text) > maxBytes {
		err = fmt.Errorf("%s is larger than %d MiB", path, maxBytes>>20)
	}
	return text, err
}

// importer is one run of Import.
type importer struct {
	t   *takeover.Takeover
	o   Options
	all []Setting
	// notify are the categories of which somebody hears, tag and noTag what stands before
	// subjects, and whether nothing does.
	notify []string
	told   bool // something was said of whom to notify
	tag    string
	noTag  bool
}

// setting takes one statement, and says what became of it.
func (i *importer) setting(n int, s Setting) takeover.Line {
	line := takeover.Line{File: s.File, Line: s.Line, Text: secretless(s)}
	switch {
	case s.Name == "" && isProse(s.Text):
		line.Verdict, line.Why = takeover.NotNeeded, "it is Perl's"
	case s.Name == "":
		line.Verdict, line.Why = takeover.NotSupported, "it is no plain assignment; what it does has to be set by hand, see docs/FILTER.md"
	case slices.ContainsFunc(i.all[n+1:], func(later Setting) bool { return later.Name == s.Name }):
		line.Verdict, line.Why = takeover.NotNeeded, "it is set again below"
	default:
		i.assigned(s, &line)
	}
	return line
}

// isProse tells what stands in every such file.
func isProse(text string) bool { return text == "1" || strings.HasPrefix(text, "use ") }

// secretless is a statement as the report may have it.
func secretless(s Setting) string {
	if strings.Contains(s.Name, "_dsn") && strings.HasPrefix(s.Name, "@") || strings.Contains(strings.ToLower(s.Name), "pass") && s.Name != "" || strings.Contains(strings.ToLower(s.Text), "dbi:") {
		return strings.TrimSpace(s.Name + " = (hidden)")
	}
	if len(s.Text) > 300 {
		return strings.ToValidUTF8(s.Text[:300], "") + " …"
	}
	return s.Text
}

// assigned finds who knows the name.
func (i *importer) assigned(s Setting, line *takeover.Line) {
	for _, k := range known {
		if !k.is(s.Name) {
			continue
		}
		line.Verdict, line.Key, line.Why = k.verdict, k.key, k.why
		if k.take == nil {
			return
		}
		if s.Err != nil {
			line.Verdict, line.Why = takeover.NotSupported, s.Err.Error()
			return
		}
		if err := k.take(i, s, k.key); err != nil {
			line.Verdict, line.Why = takeover.NotSupported, err.Error()
		}
		return
	}
	line.Verdict, line.Why = takeover.Unknown, "facteur knows nothing of it; docs/FILTER.md and docs/QUARANTINE.md have what there is"
}

// finish writes what several settings say together.
func (i *importer) finish() {
	if i.tag != "" && !i.noTag {
		i.t.Settings.Table("filter").Set("subject_tag", i.tag, "")
	}
	if i.told {
		p := i.everybody()
		if len(i.notify) == 0 {
			i.notify = []string{"none"}
		}
		p.Set("notify", i.notify, "the categories of which the postmaster hears")
	}
}

// everybody is the policy that is for all.
func (i *importer) everybody() *takeover.Table {
	if p := i.t.Settings.Find("filter_policy", "match", "."); p != nil {
		return p
	}
	p := i.t.Settings.Append("filter_policy")
	p.Set("match", ".", "")
	return p
}
