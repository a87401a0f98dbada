package amavis

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"facteur/internal/app/takeover"
	"facteur/internal/test/doubling"
)

func write(t *testing.T, dir string, files map[string]string) string {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func imported(t *testing.T, o Options) *takeover.Takeover {
	t.Helper()
	o.Hostname = "mail.example.org"
	out := takeover.New(o.Path, "")
	if err := Import(out, o); err != nil {
		t.Fatal(err)
	}
	for _, err := range out.Check(filepath.Join(t.TempDir(), "facteur.toml")) {
		t.Errorf("facteur check: %v\n%s", err, out.Settings.Text())
	}
	return out
}

// verdicts are those of the lines with a text.
func verdicts(out *takeover.Takeover, text string) (all string) {
	for _, l := range out.Report.Lines {
		if strings.Contains(l.Text, text) {
			all += string(l.Verdict) + " " + l.Key + ": " + l.Why + "\n"
		}
	}
	return all
}

func expect(t *testing.T, text string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(text, w) {
			t.Errorf("expected %q in\n%s", w, text)
		}
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	text := "use strict;\n# a comment; with a ;\n$mydomain = 'example.org'; # behind it\n$x = \"mail.$mydomain\";\n" +
		"@local_domains_maps = ( [\".$mydomain\", qw( .example.net\n .example.com )] );\n$a = undef; $b = -999; $c = 'it''s';\n" +
		"$sql = 'SELECT *'.\n  ' FROM x; y';\n$re = new_RE(\n qr'^\\.exe$'i, # ;\n);\n$d = $unknown . 'x';\n$max = 2*1024;\n$bank{'A'} = { x => 1 };\n\n=pod\n\n$no = 1;\n\n=cut\n\n$last = q(a(b)c);\n1;\n__END__\n$never = 1;\n"
	var got strings.Builder
	for _, s := range Parse("50-user", text, map[string]string{}) {
		fmt.Fprintf(&got, "%d %s", s.Line, s.Name)
		for _, v := range s.Values {
			fmt.Fprintf(&got, " %q", v.Text)
		}
		if s.Err != nil {
			got.WriteString(" error")
		}
		got.WriteByte('\n')
	}
	const want = `1 
3 $mydomain "example.org"
4 $x "mail.example.org"
5 @local_domains_maps ".example.org" ".example.net" ".example.com"
7 $a ""
7 $b "-999"
7 $c "it" "s"
8 $sql "SELECT * FROM x; y"
10 $re error
13 $d error
14 $max error
15 
23 $last "a(b)c"
24 
`
	if got.String() != want {
		t.Errorf("got\n%s", got.String())
	}
}

// Rows 183, 185 to 188, 192 to 194, 197 and 198: the settings of somebody who wrote down how
// he set up amavis.
func TestSettings(t *testing.T) {
	t.Parallel()
	dir := write(t, t.TempDir(), map[string]string{"conf.d/20-debian_defaults": "$sa_kill_level_deflt = 6.31;\n1;\n", "conf.d/50-user": `
@storage_sql_dsn = ( ['DBI:mysql:database=amavis_storage;host=127.0.0.1;port=3306', 'amavis_storage', 'xxxx'] );
$spam_quarantine_to = 'spam-quarantine';
$spam_quarantine_method = 'sql:';
$virus_quarantine_to = 'viruses@example.org';
$banned_quarantine_to = undef;
$sql_store_info_for_all_msgs = 0;
$final_virus_destiny = D_BOUNCE;
$final_spam_destiny = D_DISCARD;
$final_banned_destiny = D_REJECT;
$final_bad_header_destiny = D_PASS;
$sa_spam_subject_tag = '[SPAM] ';
$sa_spam_modifies_subj = 1;
$sa_tag_level_deflt  = 2.0;  # add spam info headers if at, or above that level
$sa_tag2_level_deflt = 6.0;
$sa_kill_level_deflt = 9.0;
$sa_dsn_cutoff_level = 100;
$sa_quarantine_cutoff_level = 25;
$virus_admin = 'postmaster@example.org';
$spam_admin = undef;
$DO_SYSLOG = 1;
$banned_filename_re = new_RE( qr'^\.exe$' );
@whitelist_sender_maps = ( ['.example.net', 'bob@example.com', '!evil.example'] );
@blacklist_sender_maps = ( [qw(.casino.example)] );
@blacklist_sender_maps2 = read_hash("/etc/x");
$something_new = 1;
if ($x) { $y = 1 }
1;
`})
	out := imported(t, Options{Path: dir})
	expect(t, string(out.Settings.Text()), `mark = "2"`, `junk = "6"`, `kill = "9"`, `cutoff = "25"`, `subject_tag = "[SPAM] "`, `destinies.spam = "discard"`,
		`destinies.virus = "reject"`, `destinies.banned = "reject"`, `destinies.bad_header = "pass"`, `notify = ["virus"]`, `quarantine_to = "viruses@example.org"`,
		`allow = ["@.example.net", "bob@example.com"]`, `block = ["@.casino.example"]`)
	expect(t, verdicts(out, "$final_spam_destiny"), "understood filter.destinies.spam")
	expect(t, verdicts(out, "$virus_admin"), "understood filter_policy.notify")
	expect(t, verdicts(out, "@storage_sql_dsn"), "replaced")
	expect(t, verdicts(out, "6.31"), "it is set again below")
	expect(t, verdicts(out, "$banned_quarantine_to"), "not supported quarantine: nothing was kept there")
	expect(t, verdicts(out, "evil"), "not supported filter_list.allow: these are not on the list: !evil.example")
	expect(t, verdicts(out, "new_RE"), "not supported attachments")
	expect(t, verdicts(out, "$something_new"), "unknown")
	expect(t, verdicts(out, "if ($x)"), "not supported")
	var report strings.Builder
	if err := out.Report.WriteText(&report); err != nil || strings.Contains(report.String(), "xxxx") {
		t.Errorf("%v, or a password is in the report:\n%s", err, report.String())
	}
}

// Rows 189 to 191: policies and lists of users, as the tables of amavis and of ISPConfig have
// them. An empty field says nothing.
func TestTables(t *testing.T) {
	t.Parallel()
	conf := filepath.Join(write(t, t.TempDir(), map[string]string{"amavisd.conf": "$sa_tag2_level_deflt = 5;\n"}), "amavisd.conf")
	own := write(t, t.TempDir(), map[string]string{
		"policy.tsv": "id\tpolicy_name\tvirus_lover\tspam_lover\tspam_modifies_subj\tspam_tag_level\tspam_tag2_level\tspam_kill_level\tspam_quarantine_to\tbypass_spam_checks\n" +
			"1\tstrict\tN\tN\tY\t-999\t4.5\t9\tNULL\tN\n2\tlover\tNULL\tY\tNULL\tNULL\tNULL\tNULL\t\tN\n3\tnothing\t\t\t\t\t\t\t\t\n4\tunchecked\t\t\t\t\t\t\t\tY\n",
		"users.tsv": "id\tpriority\tpolicy_id\temail\tfullname\n1\t5\t1\t@example.org\tall of us\n2\t7\t2\tAlice@example.org\tNULL\n3\t0\t3\tcarol@example.org\t\n" +
			"4\t0\t1\tno address\t\n5\t0\t4\tdave@example.org\t\n6\t0\t9\t@.\t\n",
		"mailaddr.tsv": "id\tpriority\temail\n1\t5\t@.casino.example\n2\t7\tbob@example.net\n3\t5\tfred@example.net\n",
		"wblist.tsv":   "rid\tsid\twb\n1\t1\tB\n2\t2\tW\n2\t3\t-2.5\n9\t1\tB\n1\t3\tX\n",
	})
	out := imported(t, Options{Path: conf, Tables: own})
	text := string(out.Settings.Text())
	expect(t, text, "# all of us\nmatch = \"@example.org\"\npriority = 5\nkill = \"9\"\njunk = \"4.5\"\nmark = \"always\"\n", "match = \"alice@example.org\"\npriority = 7\ndestinies.spam = \"pass\"\n",
		"match = \"@example.org\"\npriority = 5\nblock = [\"@.casino.example\"]", "match = \"alice@example.org\"\npriority = 7\nallow = [\"bob@example.net\"]", `score = ["fred@example.net = -2.5"]`)
	if strings.Contains(text, "carol") {
		t.Errorf("row 191: an empty policy overrides something:\n%s", text)
	}
	expect(t, verdicts(out, "no address"), "not supported")
	expect(t, verdicts(out, "dave"), "bypass_spam_checks=Y")
	expect(t, verdicts(out, "@."), "it has no policy")
	expect(t, verdicts(out, "X fred"), "expected W, B or a score")
	panel := write(t, t.TempDir(), map[string]string{
		"spamfilter_policy.tsv": "id\tsys_userid\tpolicy_name\tspam_tag2_level\tspam_subject_tag2\tspam_modifies_subj\tmessage_size_limit\tpolicyd_greylist\trspamd_spam_tag_level\tpolicyd_quota_in\n" +
			"1\t1\tNormal\t4.5\t***SPAM***\tY\t0\tN\t6.00\t500\n",
		"spamfilter_users.tsv":  "id\tpriority\tpolicy_id\temail\tfullname\tlocal\n1\t5\t1\tbob@example.org\tBob\tY\n",
		"spamfilter_wblist.tsv": "wblist_id\twb\trid\temail\tpriority\tactive\n1\tW\t1\tnews@example.net\t5\ty\n2\tB\t1\told@example.net\t5\tn\n",
	})
	out = imported(t, Options{Path: conf, Tables: panel})
	expect(t, verdicts(out, "bob@example.org"), "not supported filter_policy: not taken of the policy \"Normal\": policyd_quota_in=500\n")
	text = string(out.Settings.Text())
	expect(t, text, `subject_tag = "***SPAM***"`, `allow = ["news@example.net"]`)
	if strings.Contains(text, "old@example.net") {
		t.Errorf("an entry that is not active:\n%s", text)
	}
	if err := Import(takeover.New("", ""), Options{Path: conf, Tables: t.TempDir()}); err == nil {
		t.Error("no tables are there, and nobody is told")
	}
}

func FuzzParse(f *testing.F) {
	f.Add("$a = 'x' . \"y$a\"; @b = (qw(1 2), [undef]);\n")
	f.Add("$a = q{{}; \"\\\"; =pod\n\n=cut\nqr/x/i; m")
	f.Fuzz(func(t *testing.T, text string) {
		for _, s := range Parse("x", text, map[string]string{}) {
			if s.Line < 1 || strings.Contains(s.Text, "\n") || s.Err != nil && s.Values != nil {
				t.Errorf("%+v", s)
			}
		}
	})
}

func FuzzParseTable(f *testing.F) {
	f.Add("id\temail\n1\ta@b\n\n2\n3\t\\N\tmore\n")
	f.Fuzz(func(t *testing.T, text string) {
		rows, err := parseTable(text)
		if err != nil && rows != nil {
			t.Error(rows, err)
		}
	})
}

// Twice the text takes no more than about twice the time.
func TestDoubling(t *testing.T) {
	for name, unit := range map[string]string{"statements": "$a = 'x';\n", "a string": "$a = \"x", "joined": ". 'x' ", "brackets": "q((", "comments": "# x\n", "values": "qw(a b), "} {
		doubling.Check(t, name, 2000, func(n int) func() {
			text := "@x = " + strings.Repeat(unit, n)
			return func() { Parse("x", text, map[string]string{}) }
		})
	}
	doubling.Check(t, "rows", 2000, func(n int) func() {
		text := "id\temail\n" + strings.Repeat("1\ta@example.org\n", n)
		return func() { parseTable(text) } //nolint:errcheck // its time counts
	})
}
