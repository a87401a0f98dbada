package postfix

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"facteur/internal/app/takeover"
)

// fileLimit is the most that is read of a file, in bytes.
const fileLimit = 16 << 20

// Options say what is imported, and where to.
type Options struct {
	Dir      string         // the directory of main.cf, absolute
	Settings string         // the directory of facteur.toml; "": it goes to no file
	Hostname string         // what the kernel calls this machine
	Networks []netip.Prefix // the addresses of its interfaces, with their networks
}

// Import adds what a Postfix was told to t. What a Dovecot beside it was told may be there
// already: then the accounts are Dovecot's, and Postfix's tables come behind them only where
// Postfix itself put letters into mailboxes. An error is a file that can not be read, or
// a macro without end; whatever else is wrong stands in the report.
func Import(t *takeover.Takeover, o Options) error {
	i, err := read(t, o)
	if err != nil {
		return err
	}
	i.identity()
	i.networks()
	i.domains()
	i.addresses()
	i.directories()
	i.forwarding()
	i.relays()
	i.transports()
	i.certificates()
	i.limits()
	i.milters()
	i.restrictions()
	i.headerChecks()
	i.listeners()
	i.simple()
	i.roles()
	i.reportMain()
	i.reportMaster()
	i.reportTables()
	i.besides()
	return errors.Join(i.errs...)
}

// importer is one run of Import.
type importer struct {
	o        Options
	t        *takeover.Takeover
	main     []Param
	master   []Service
	counts   map[string]int // the entry of main that counts, by name
	defaults map[string]string
	replaced map[string]string // values of which something else took a part, by name
	notes    map[string]note   // what is said of parameters
	options  map[option]note   // what is said of -o
	services map[int]note      // what is said of services
	tables   []*table          // every table that was named, in that order
	guards   []string          // conditions that spare a mail the restrictions that follow
	lists    map[string]string // [[list]] by source
	names    map[string]bool   // names of rules, lists and directories that are taken
	named    map[string]string // transports that something names, with who does
	classes  map[string]string // restriction classes that were written
	ours     []string          // domains that were declared
	skip     []string          // networks that SPF is not asked about
	dovecot  bool              // the settings have accounts of a Dovecot that was imported before
	asksSPF  bool              // some list of restrictions asks policyd-spf
	errs     []error
}

// note is a verdict to be told.
type note struct {
	verdict takeover.Verdict
	key     string
	why     string
}

// option is one -o of one service.
type option struct{ service, option int }

func read(t *takeover.Takeover, o Options) (*importer, error) {
	i := &importer{
		o: o, t: t, counts: map[string]int{}, defaults: Defaults(), replaced: map[string]string{}, notes: map[string]note{}, options: map[option]note{},
		services: map[int]note{}, lists: map[string]string{}, names: map[string]bool{}, named: map[string]string{}, classes: map[string]string{},
	}
	i.dovecot = len(t.Settings.All("directory")) > 0
	for _, d := range t.Settings.All("directory") {
		i.names[strings.Trim(d.Get("name"), `"`)] = true
	}
	text, err := i.file(i.mainFile())
	if err != nil {
		return nil, err
	}
	i.main = ParseMain(text)
	for n, p := range i.main {
		if p.Err == nil {
			i.counts[p.Name] = n
		}
	}
	text, err = i.file(i.masterFile())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	i.master = ParseMaster(text)
	i.machine()
	return i, nil
}

func (i *importer) mainFile() string   { return filepath.Join(i.o.Dir, "main.cf") }
func (i *importer) masterFile() string { return filepath.Join(i.o.Dir, "master.cf") }

// machine fills in the defaults that depend on the machine.
func (i *importer) machine() {
	i.defaults["config_directory"] = i.o.Dir
	i.defaults["process_name"], i.defaults["service_name"] = "smtpd", "smtpd"
	host := strings.ToLower(i.o.Hostname)
	if _, domain, full := strings.Cut(i.value("myhostname"), "."); full {
		i.defaults["mydomain"] = domain
	} else if _, domain, full := strings.Cut(host, "."); full {
		i.defaults["mydomain"] = domain
	} else {
		i.defaults["mydomain"] = "localdomain"
	}
	if !strings.Contains(host, ".") {
		host += "." + i.value("mydomain")
	}
	i.defaults["myhostname"] = host
	if _, domain, full := strings.Cut(i.value("myhostname"), "."); full {
		i.defaults["mydomain"] = domain
	}
}

// file reads a text file of the old server.
func (i *importer) file(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is not a file", path)
	}
	text, err := io.ReadAll(io.LimitReader(f, fileLimit+1))
	if err != nil {
		return "", err
	}
	if len(text) > fileLimit {
		return "", fmt.Errorf("%s is larger than 16 MB", path)
	}
	return string(text), nil
}

// isSet tells that main.cf has a parameter.
func (i *importer) isSet(name string) bool {
	_, found := i.counts[name]
	return found
}

// raw is the value of a parameter, or its default.
func (i *importer) raw(name string) string {
	if v, found := i.replaced[name]; found {
		return v
	}
	if at, found := i.counts[name]; found {
		return i.main[at].Value
	}
	return i.defaults[name]
}

// unexpanded are parameters whose macros are replaced at each delivery: $user, $EXTENSION.
var unexpanded = []string{"mailbox_command", "luser_relay", "forward_path", "default_rbl_reply"}

// value is the value of a parameter with its macros replaced.
func (i *importer) value(name string) string {
	if slices.Contains(unexpanded, name) {
		return oneLine(i.raw(name))
	}
	return i.expand(name, i.raw(name))
}

func (i *importer) expand(name, raw string) string {
	v, err := Expand(raw, i.raw)
	if err != nil {
		err = fmt.Errorf("%s: %s: %w", i.mainFile(), name, err)
		if !slices.ContainsFunc(i.errs, func(e error) bool { return e.Error() == err.Error() }) {
			i.errs = append(i.errs, err)
		}
	}
	return strings.TrimSpace(v)
}

// words is the value of a parameter that is a list.
func (i *importer) words(name string) []string { return Words(i.value(name)) }

// yes tells that a switch is on.
func (i *importer) yes(name string) bool { return strings.EqualFold(i.value(name), "yes") }

// note says what becomes of a parameter. What was said before stays, but for trouble,
// which is told first.
func (i *importer) note(name string, v takeover.Verdict, key, why string) {
	old, found := i.notes[name]
	switch {
	case !found:
		i.notes[name] = note{v, key, why}
	case v == takeover.NotSupported && old.verdict != v:
		i.notes[name] = note{v, key, why}
	case why != "" && !strings.Contains(old.why, why):
		old.why = strings.TrimPrefix(old.why+"; "+why, "; ")
		i.notes[name] = old
	}
}

// took says that parameters are in the settings now.
func (i *importer) took(key string, names ...string) {
	for _, name := range names {
		i.note(name, takeover.Understood, key, "")
	}
}

// table is one table of the settings.
func (i *importer) table(name string) *takeover.Table { return i.t.Settings.Table(name) }

// set sets "table.key".
func (i *importer) set(key string, value any, why string) {
	table, name, inside := strings.Cut(key, ".")
	if !inside {
		table, name = "", key
	}
	i.table(table).Set(name, value, why)
}

// taken makes a name that nothing has yet.
func (i *importer) unused(name string) string {
	name = strings.Map(func(r rune) rune {
		if r == '_' || r == '-' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, name)
	free := name
	for n := 2; i.names[free]; n++ {
		free = fmt.Sprintf("%s_%d", name, n)
	}
	i.names[free] = true
	return free
}

// why is the comment for what comes of parameters: their lines as they stood.
func (i *importer) why(names ...string) string {
	var lines []string
	for _, name := range names {
		if i.isSet(name) {
			p := i.main[i.counts[name]]
			lines = append(lines, fmt.Sprintf("main.cf:%d: %s = %s", p.Line, name, oneLine(p.Value)))
		}
	}
	return strings.Join(lines, "\n")
}

// oneLine puts a value of several lines into one.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
