package amavis

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"facteur/internal/app/takeover"
	"facteur/internal/base/conf"
	"facteur/internal/store/policy"
)

// knowledge is what is known of settings: names are theirs, or with "*" at the end their
// beginnings.
type knowledge struct {
	names   string
	verdict takeover.Verdict
	key     string
	why     string
	// take sets what is set by it; an error is why it can't.
	take func(i *importer, s Setting, key string) error
}

func (k *knowledge) is(name string) bool {
	return slices.ContainsFunc(strings.Fields(k.names), func(n string) bool {
		prefix, open := strings.CutSuffix(n, "*")
		return n == name || open && strings.HasPrefix(name, prefix)
	})
}

const (
	yes      = takeover.Understood
	replaced = takeover.Replaced
	useless  = takeover.NotNeeded
	no       = takeover.NotSupported
)

const scored = "a score is facteur's own; SpamAssassin's 5 is 5 here"

// known are the settings, the special ones before those of whole kinds.
var known = []knowledge{
	{"$myhostname", yes, "hostname", "", (*importer).hostname},
	{"$mydomain @mydomain", useless, "", "it stands in other settings", nil},
	{"@local_domains_maps @local_domains_acl %local_domains", useless, "domain", "letters for all domains of the server are filtered", nil},
	{"$sa_tag_level_deflt", yes, "filter.mark", scored, (*importer).level},
	{"$sa_tag2_level_deflt", yes, "filter.junk", scored, (*importer).level},
	{"$sa_kill_level_deflt", yes, "filter.kill", scored, (*importer).level},
	{"$sa_quarantine_cutoff_level", yes, "filter.cutoff", scored, (*importer).level},
	{"$sa_dsn_cutoff_level $sa_crediblefrom_dsn_cutoff_level", useless, "", "no bounce goes to the sender of a spam", nil},
	{"$final_spam_destiny", yes, "filter.destinies.spam", "", (*importer).destiny},
	{"$final_virus_destiny", yes, "filter.destinies.virus", "", (*importer).destiny},
	{"$final_banned_destiny", yes, "filter.destinies.banned", "", (*importer).destiny},
	{"$final_bad_header_destiny", yes, "filter.destinies.bad_header", "", (*importer).destiny},
	{"$sa_spam_subject_tag $sa_spam_subject_tag2", yes, "filter.subject_tag", "", (*importer).subjectTag},
	{"$sa_spam_modifies_subj", yes, "filter.subject_tag", "", (*importer).modifies},
	{"$spam_quarantine_to $virus_quarantine_to $banned_quarantine_to $bad_header_quarantine_to", yes, "quarantine", "what is held back is on the shelf of the quarantine; facteur quarantine list", (*importer).quarantineTo},
	{"$spam_quarantine_method $virus_quarantine_method $banned_files_quarantine_method $bad_header_quarantine_method $clean_quarantine_method $QUARANTINEDIR @storage_sql_dsn $sql_store_info_for_all_msgs",
		replaced, "quarantine", "the quarantine is in the queue, what happened to each letter in the journeys; nothing is to be set up", nil},
	{"$virus_admin", yes, "filter_policy.notify", "", (*importer).admin},
	{"$spam_admin", yes, "filter_policy.notify", "", (*importer).admin},
	{"$banned_admin", yes, "filter_policy.notify", "", (*importer).admin},
	{"$bad_header_admin", yes, "filter_policy.notify", "", (*importer).admin},
	{"@whitelist_sender_maps @whitelist_sender_acl", yes, "filter_list.allow", "it allows whoever proves that he is the sender", (*importer).senders},
	{"@blacklist_sender_maps @blacklist_sender_acl", yes, "filter_list.block", "", (*importer).senders},
	{"@score_sender_maps @whitelist_* @blacklist_* %whitelist_* %blacklist_* $per_recip_*", no, "filter_list", "lists of accounts and scores of senders: see docs/QUARANTINE.md", nil},
	{"@lookup_sql_dsn $sql_select_policy $sql_select_white_black_list %sql_clause", replaced, "filter_policy", "--tables takes over policies and lists of users", nil},
	{"$banned_filename_re @banned_filename_maps $banned_namepath_re %banned_rules", no, "attachments", "programs and scripts are banned by what they are, in archives, too; see [attachments] for more", nil},
	{"@bypass_*", no, "filter", "letters are always looked at; filter.enabled, and the destiny \"pass\" for a category, are what there is", nil},
	{"@spam_lovers_maps @virus_lovers_maps @banned_files_lovers_maps @bad_header_lovers_maps", no, "filter_policy", "give these recipients a policy with the destiny \"pass\"", nil},
	{"@av_scanners @av_scanners_backup", no, "scanner", "a [[scanner]] of the type \"clamd\" asks ClamAV; docs/FILTER.md", nil},
	{"$enable_dkim_* @dkim_* $dkim_*", replaced, "dkim", "facteur verifies and signs by itself; docs/OUTGOING.md", nil},
	{"$DO_SYSLOG $do_syslog $syslog_* $SYSLOG_LEVEL $LOGFILE $log_level $log_recip_templ $log_templ $sa_debug", replaced, "log", "the log has a line in the form of amavis' for each letter", nil},
	{"$sa_* @decoders $file $gzip $bzip2 $lzop $rpm2cpio $cabextract $uncompress $unfreeze $arc $unarj $unrar $zoo $lha $cpio $MAX* $MIN* $undecipherable_* $defang_*", useless, "", "facteur's filter needs no other program, and bounds what it unpacks", nil},
	{"$inet_socket_* $unix_socketname $max_servers $max_requests $child_timeout $forward_method $notify_method $insert_received_line $recipient_delimiter $daemon_* $pid_file $lock_file $MYHOME $TEMPBASE $TEMPDIR $db_home $enable_* $nanny_* $interface_policy %interface_policy @inet_acl @mynetworks* $policy_bank $localhost_* $X_HEADER_* $allowed_added_header_fields $mailfrom_* $hdrfrom_* $warn* $notify_* $virus_* $timestamp_* $unrar $path $helpers_home $myversion $os_fingerprint_*", useless, "", "letters are judged in the session; there is no second pass and no daemon beside", nil},
}

func (i *importer) hostname(s Setting, key string) error {
	v, err := s.one()
	if err != nil {
		return err
	}
	i.t.Settings.Table("").Set(key, v.Text, why(s))
	return nil
}

// one is the value of a scalar.
func (s *Setting) one() (Value, error) {
	if len(s.Values) != 1 {
		return Value{}, fmt.Errorf("expected one value, found %d", len(s.Values))
	}
	return s.Values[0], nil
}

// why is the comment above what comes from a setting.
func why(s Setting) string { return fmt.Sprintf("%s:%d: %s", s.File, s.Line, secretless(s)) }

func (i *importer) level(s Setting, key string) error {
	v, err := s.one()
	if err != nil {
		return err
	}
	level, err := levelOf(v, key == "filter.mark")
	if err != nil {
		return err
	}
	table, name, _ := strings.Cut(key, ".")
	i.t.Settings.Table(table).Set(name, level, why(s))
	return nil
}

// levelOf is a level in our words. What is not defined each letter has for mark, and none for
// the others.
func levelOf(v Value, mark bool) (string, error) {
	if v.Undef && mark {
		return policy.LevelText(policy.Always), nil
	}
	if v.Undef {
		return policy.LevelText(policy.Never), nil
	}
	n, err := strconv.ParseFloat(v.Text, 64)
	if err != nil || n != n {
		return "", fmt.Errorf("expected a score, found %q", v.Text)
	}
	if n <= -999 {
		n = policy.Always
	}
	return policy.LevelText(min(n, policy.Never)), nil
}

func (i *importer) destiny(s Setting, key string) error {
	v, err := s.one()
	if err != nil {
		return err
	}
	cutoff := slices.ContainsFunc(i.all, func(o Setting) bool {
		return o.Name == "$sa_quarantine_cutoff_level" && len(o.Values) == 1 && !o.Values[0].Undef
	})
	destiny := map[string]string{"D_PASS": "pass", "D_REJECT": "reject", "D_BOUNCE": "reject", "D_DISCARD": "quarantine"}[v.Text]
	if destiny == "quarantine" && cutoff && s.Name == "$final_spam_destiny" {
		destiny = "discard"
	}
	if destiny == "" {
		return fmt.Errorf("expected D_PASS, D_REJECT, D_DISCARD or D_BOUNCE, found %q", v.Text)
	}
	note := why(s)
	if v.Text == "D_BOUNCE" {
		note += "\nA bounce would go to whoever was forged: it is refused while the sender listens."
	}
	i.t.Settings.Table("filter").Set(strings.TrimPrefix(key, "filter."), destiny, note)
	return nil
}

func (i *importer) subjectTag(s Setting, _ string) error {
	v, err := s.one()
	if err == nil {
		i.tag = v.Text
	}
	return err
}

func (i *importer) modifies(s Setting, _ string) error {
	v, err := s.one()
	i.noTag = v.Undef || v.Text == "0" || v.Text == ""
	return err
}

func (i *importer) quarantineTo(s Setting, _ string) error {
	v, err := s.one()
	if err != nil {
		return err
	}
	if v.Undef || v.Text == "" {
		return errors.New("nothing was kept there; here what is not delivered is kept for [quarantine] keep")
	}
	if !strings.Contains(v.Text, "@") {
		return nil // the shelf
	}
	p := i.everybody()
	if old := p.Get("quarantine_to"); old != "" && old != conf.Quote(v.Text) {
		return errors.New("there is one quarantine_to for all categories, and another setting says it")
	}
	p.Set("quarantine_to", v.Text, why(s))
	return nil
}

func (i *importer) admin(s Setting, _ string) error {
	v, err := s.one()
	if err != nil {
		return err
	}
	if i.told = true; v.Undef || v.Text == "" {
		return nil
	}
	i.notify = append(i.notify, strings.TrimSuffix(s.Name[1:], "_admin"))
	if !strings.HasPrefix(v.Text, "postmaster@") {
		return fmt.Errorf("the postmaster hears of it, not %s; docs/NOTICES.md", v.Text)
	}
	return nil
}

// senders puts senders on a list of everybody.
func (i *importer) senders(s Setting, key string) error {
	var list, bad []string
	for _, v := range s.Values {
		if sender, ok := senderOf(v.Text); ok {
			list = append(list, sender)
		} else {
			bad = append(bad, v.Text)
		}
	}
	if key = strings.TrimPrefix(key, "filter_list."); len(list) > 0 {
		i.listOf(".").Set(key, append(i.listOf(".").List(key), list...), why(s))
	}
	if len(bad) > 0 {
		return fmt.Errorf("these are not on the list: %s", strings.Join(bad, ", "))
	}
	return nil
}

// listOf is the list of a policy's accounts.
func (i *importer) listOf(match string) *takeover.Table {
	if l := i.t.Settings.Find("filter_list", "match", match); l != nil {
		return l
	}
	l := i.t.Settings.Append("filter_list")
	l.Set("match", match, "")
	return l
}

// senderOf is a sender as amavis names him in ours: "example.org", ".example.org" with all
// below it, "@.example.org" of SQL, or an address.
func senderOf(text string) (string, bool) {
	if !strings.Contains(text, "@") {
		text = "@" + text
	}
	e, err := policy.Entry{Match: ".", Sender: text, Kind: policy.Allow}.Check()
	return e.Sender, err == nil
}
