package dovecot

import (
	"strings"

	"facteur/internal/app/takeover"
)

// note is a verdict to be told.
type note struct {
	verdict takeover.Verdict
	key     string
	why     string
}

const (
	no       = takeover.NotNeeded
	replaced = takeover.Replaced
	missing  = takeover.NotSupported
	yes      = takeover.Understood
)

// settled are settings whose verdict does not depend on their values.
func settled() map[string]note {
	return map[string]note{
		"ssl_dh":                         {no, "", "only elliptic curves are used, which need no parameters"},
		"ssl_prefer_server_ciphers":      {no, "", "the order is chosen by what is fast on both sides"},
		"ssl_cipher_list":                {replaced, "listen.tls_ciphers", "the default has no weak ones"},
		"ssl_cipher_suites":              {no, "", "all of TLS 1.3 are good"},
		"ssl_curve_list":                 {no, "", "the default has no weak ones"},
		"ssl_min_protocol":               {replaced, "listen.tls_min_version", "TLS 1.2 is the least"},
		"ssl_protocols":                  {replaced, "listen.tls_min_version", "TLS 1.2 is the least"},
		"ssl_client_ca_dir":              {no, "", "servers that are asked are checked with the authorities of the system"},
		"ssl_client_ca_file":             {replaced, "outbound.tls_ca_file", "servers that are asked are checked with the authorities of the system"},
		"ssl_ca":                         {replaced, "auth.client_ca", "who signs clients' certificates"},
		"ssl_verify_client_cert":         {replaced, "auth.client_ca", "a certificate says who somebody is (EXTERNAL)"},
		"ssl_cert_username_field":        {no, "", "the e-mail address in a certificate is the account"},
		"ssl_key_password":               {missing, "", "keys with a password can't be read at a start; write the key without one, mode 0600"},
		"login_greeting":                 {no, "", "the greeting says nothing of the software"},
		"login_trusted_networks":         {replaced, "listen.proxy_networks", "proxies tell the client's address by the PROXY protocol"},
		"mail_privileged_group":          {no, "", "letters are in Maildirs, and need no lock files in /var/mail"},
		"mail_access_groups":             {no, "", "letters of Unix users are reached as those users"},
		"mail_uid":                       {replaced, "directory.unix_users", "letters belong to the server's user, or to the Unix user of an account"},
		"mail_gid":                       {replaced, "directory.unix_users", "letters belong to the server's user, or to the Unix user of an account"},
		"first_valid_uid":                {replaced, "directory.min_uid", "only users from 1000 on have mailboxes"},
		"first_valid_gid":                {no, "", "root's group never has mail"},
		"last_valid_uid":                 {no, "", "there is no upper limit"},
		"last_valid_gid":                 {no, "", "there is no upper limit"},
		"mail_plugins":                   {no, "", "quota, acl, sieve and the others need no plugin"},
		"postmaster_address":             {replaced, "addresses.role_recipient", "postmaster of each domain has a mailbox by itself"},
		"hostname":                       {replaced, "hostname", "the name of this machine"},
		"recipient_delimiter":            {replaced, "addresses.recipient_delimiter", "what begins an extension"},
		"lda_mailbox_autocreate":         {no, "", "mailboxes are made when a filter files something there"},
		"lda_mailbox_autosubscribe":      {no, "", "mailboxes that are made at a delivery are subscribed to"},
		"sendmail_path":                  {no, "", "the server sends its own letters itself"},
		"submission_host":                {no, "", "the server sends its own letters itself"},
		"quota_full_tempfail":            {replaced, "mailbox.quota_full", "how mail for a full mailbox is refused"},
		"auth_cache_size":                {no, "", "what directories say is remembered for 30 seconds at most"},
		"auth_verbose":                   {no, "", "each refused log-in is logged, without passwords"},
		"auth_verbose_passwords":         {no, "", "passwords are never logged"},
		"auth_debug":                     {replaced, "log.level", `"debug" says more`},
		"auth_debug_passwords":           {no, "", "passwords are never logged"},
		"auth_failure_delay":             {replaced, "auth.failure_delay", "how long a failed log-in waits for its answer"},
		"auth_socket_path":               {replaced, "listen", `a [[listen]] with service = "auth" is such a socket`},
		"auth_ssl_require_client_cert":   {no, "", "a certificate is one way to log in among others"},
		"auth_ssl_username_from_cert":    {replaced, "auth.client_ca", "a certificate says who somebody is (EXTERNAL)"},
		"auth_user_chars":                {no, "", "names are parameters of queries, and can't be more"},
		"auth_username_chars":            {no, "", "names are parameters of queries, and can't be more"},
		"auth_username_translation":      {missing, "", "names are taken as they are written; letters in any case are the same"},
		"auth_master_user_separator":     {missing, "", "nobody logs in as somebody else; an admin shares the mailbox (facteur mailbox acl)"},
		"auth_realms":                    {no, "", "DIGEST-MD5, which has realms, is not offered"},
		"auth_krb5_keytab":               {missing, "", "GSSAPI is not offered"},
		"auth_gssapi_hostname":           {missing, "", "GSSAPI is not offered"},
		"auth_anonymous_username":        {missing, "", "nobody logs in without a name"},
		"mailbox_list_index":             {no, "", "there is always an index"},
		"mailbox_idle_check_interval":    {no, "", "changes are told at once"},
		"maildir_stat_dirs":              {no, "", "names with a dot in front that are no Maildir are left out"},
		"maildir_very_dirty_syncs":       {no, "", "the index knows what has changed"},
		"maildir_copy_with_hardlinks":    {no, "", "copies are links where they can be"},
		"maildir_broken_filename_sizes":  {no, "", "sizes are read, not believed"},
		"maildir_empty_new":              {no, "", "letters go from new/ to cur/ when they are seen"},
		"pop3_uidl_duplicates":           {no, "", "unique-ids are unique"},
		"pop3_reuse_xuidl":               {missing, "", "X-UIDL headers are not read; unique-ids in dovecot-uidlist are"},
		"pop3_save_uidl":                 {no, "", "unique-ids stand in dovecot-uidlist"},
		"pop3_no_flag_updates":           {replaced, "pop3.mark_seen", "whether fetched letters count as read"},
		"pop3_enable_last":               {no, "", "LAST left the protocol in 1994"},
		"pop3_lock_session":              {replaced, "pop3.lock_session", "one POP3 session at a time"},
		"pop3_fast_size_lookups":         {no, "", "sizes stand in the index"},
		"pop3_delete_type":               {replaced, "pop3.delete_type", "what DELE does"},
		"pop3_deleted_flag":              {replaced, "pop3.deleted_flag", "the flag of what was deleted by POP3"},
		"pop3_uidl_format":               {replaced, "pop3.uidl_format", "the unique-ids of letters"},
		"imap_urlauth_host":              {no, "", "URLs name this server"},
		"imap_id_log":                    {no, "", "what clients say of themselves is in the journey"},
		"imap_idle_notify_interval":      {no, "", "two minutes"},
		"protocols":                      {yes, "listen", "what is listened on"},
		"listen":                         {yes, "listen", "where it is listened"},
		"version_ignore":                 {no, "", "there is one program"},
		"verbose_proctitle":              {no, "", "there is one process"},
		"verbose_ssl":                    {replaced, "log.level", `"debug" says more`},
		"shutdown_clients":               {no, "", "sessions get ten seconds to end"},
		"valid_chroot_dirs":              {no, "", "no part of the server changes its root"},
		"dict_db_config":                 {no, "", "there are no dictionaries"},
		"doveadm_password":               {no, "", "commands come by a socket in the data directory"},
		"import_environment":             {no, "", "nothing is taken from the environment"},
		"instance_name":                  {no, "", "a data directory is an instance"},
		"log_path":                       {replaced, "log.destination", "where the log goes"},
		"info_log_path":                  {replaced, "log.destination", "where the log goes"},
		"debug_log_path":                 {replaced, "log.destination", "where the log goes"},
		"syslog_facility":                {no, "", "lines go to the journal or to a file"},
		"log_timestamp":                  {no, "", "files have times, the journal adds them"},
		"deliver_log_format":             {replaced, "log.format", "the lines are those of Postfix and Dovecot"},
		"log_core_filter":                {no, "", "there are no core files"},
		"log_debug":                      {replaced, "log.level", `"debug" says more`},
		"login_log_format":               {replaced, "log.format", "the lines are those of Postfix and Dovecot"},
		"login_log_format_elements":      {replaced, "log.format", "the lines are those of Postfix and Dovecot"},
		"mail_log_prefix":                {replaced, "log.format", "the lines are those of Postfix and Dovecot"},
		"rejection_reason":               {replaced, "notices", "the texts of notices"},
		"rejection_subject":              {replaced, "notices", "the texts of notices"},
		"rawlog_dir":                     {no, "", "a session can be recorded for an admin's notice (notices.topics)"},
		"haproxy_trusted_networks":       {replaced, "listen.proxy_networks", "who may speak the PROXY protocol"},
		"haproxy_timeout":                {no, "", "five seconds"},
		"disable_plaintext_auth":         {yes, "auth.mechanisms", "without TLS nobody logs in, except from this machine"},
		"auth_default_domain":            {yes, "directory.default_domain", "the domain of names without one"},
		"auth_proxy_self":                {no, "", "nobody is sent elsewhere"},
		"auth_policy_server_url":         {missing, "", "log-ins are limited by [auth]; no other server is asked"},
		"mail_max_userip_connections":    {replaced, "limits", "how many connections a client may have"},
		"mail_chroot":                    {no, "", "no part of the server changes its root"},
		"mail_full_filesystem_access":    {no, "", "nobody names files"},
		"mail_attribute_dict":            {no, "", "annotations stand in the Maildir"},
		"mail_debug":                     {replaced, "log.level", `"debug" says more`},
		"mail_server_admin":              {replaced, "namespace.server_admin", "how to reach who runs the server"},
		"mail_server_comment":            {replaced, "namespace.server_comment", "a remark for people"},
		"mail_fsync":                     {no, "", "what was answered with OK is on the disk, always"},
		"mail_vsize_bg_after_count":      {no, "", "sizes stand in the index"},
		"base_dir":                       {no, "", "sockets are where [[listen]] has them"},
		"state_dir":                      {no, "", "everything is in data_dir"},
		"libexec_dir":                    {no, "", "there is one program"},
		"process_shutdown_filter":        {no, "", "there is one process"},
		"recipient_delimiter_characters": {no, "", "all of them count"},
	}
}

// families are settings that have the same verdict, by how they begin.
func families() []struct {
	prefix string
	note
} {
	type f = struct {
		prefix string
		note
	}
	return []f{
		{"director_", note{no, "", "there is one machine"}}, {"dsync_", note{no, "", "there is one machine"}}, {"replica", note{missing, "", "mailboxes are not copied to another machine; see facteur backup"}},
		{"imapc_", note{missing, "", "mailboxes of other servers are not shown; facteur import imap fetches them"}}, {"pop3c_", note{missing, "", "mailboxes of other servers are not shown"}},
		{"mdbox_", note{no, "", "letters are in Maildirs"}}, {"sdbox_", note{no, "", "letters are in Maildirs"}}, {"mbox_", note{no, "", "letters are in Maildirs; facteur import mbox brings old ones"}},
		{"dotlock_", note{no, "", "nothing is locked by files"}}, {"lock_method", note{no, "", "nothing is locked by files"}}, {"mmap_", note{no, "", "the index is SQLite"}},
		{"mail_cache_", note{no, "", "what letters say is kept by itself"}}, {"mail_index_", note{no, "", "the index is kept by itself"}}, {"mail_log", note{no, "", "the log has it"}},
		{"mail_attachment_", note{no, "", "letters are whole files"}}, {"mail_prefetch", note{no, "", "files are read when they are wanted"}}, {"mail_sort_", note{no, "", "what a search may cost is bounded"}},
		{"mail_temp_", note{no, "", "nothing is put aside"}}, {"mail_nfs_", note{no, "", "one machine uses a Maildir at a time"}}, {"mail_save_", note{no, "", "files have the time of their letters"}},
		{"mail_always_cache", note{no, "", "what letters say is kept by itself"}}, {"mail_never_cache", note{no, "", "what letters say is kept by itself"}}, {"mail_min", note{no, "", "the index is kept by itself"}},
		{"mail_", note{no, "", "facteur does it by itself"}}, {"mailbox_list_", note{no, "", "names are listed from the index"}},
		{"maildir_", note{no, "", "facteur does it by itself"}}, {"auth_cache_", note{no, "", "what directories say is remembered for 30 seconds at most"}},
		{"auth_policy_", note{missing, "", "log-ins are limited by [auth]; no other server is asked"}}, {"auth_winbind_", note{missing, "", "NTLM and GSS-SPNEGO are not offered"}}, {"auth_use_winbind", note{missing, "", "NTLM and GSS-SPNEGO are not offered"}},
		{"auth_stats", note{no, "", "there are no statistics of that kind"}}, {"auth_worker_", note{no, "", "log-ins that cost much wait in a line of their own"}}, {"auth_", note{no, "", "facteur does it by itself"}},
		{"login_", note{no, "", "there is one process"}}, {"lmtp_", note{no, "", "lmtp takes what the queue takes"}}, {"lda_", note{no, "", "mail is delivered by the queue"}},
		{"imap_", note{no, "", "facteur does it by itself"}}, {"pop3_", note{no, "", "facteur does it by itself"}}, {"submission_", note{no, "", "submission is a door of the same server"}},
		{"default_", note{no, "", "there is one process; [limits] bounds it"}}, {"stats_", note{no, "", "there are no statistics of that kind"}}, {"doveadm_", note{no, "", "commands come by a socket in the data directory"}},
		{"ssl_", note{no, "", "TLS does it by itself"}}, {"old_stats_", note{no, "", "there are no statistics of that kind"}}, {"config_", note{no, "", "there is one file"}}, {"master_", note{no, "", "there is one process"}},
		{"last_", note{no, "", "there is no upper limit"}}, {"quota_", note{replaced, "mailbox", "quotas are settings of [mailbox]"}}, {"log_", note{replaced, "log", "the log"}}, {"rawlog_", note{no, "", "nothing is recorded"}},
	}
}

// inPlugin are settings of plugin { }, by how they begin.
func inPlugin() []struct {
	prefix string
	note
} {
	type f = struct {
		prefix string
		note
	}
	return []f{
		{"sieve", note{takeover.Waits, "", "scripts stay in their place; facteur runs no Sieve yet"}}, {"recipient_delimiter", note{replaced, "addresses.recipient_delimiter", "what begins an extension"}},
		{"mail_log_", note{no, "", "the log has it"}}, {"acl_shared_dict", note{no, "", "who shares with whom is known from dovecot-acl files"}}, {"acl", note{yes, "", "dovecot-acl files in the mailboxes are read and written"}},
		{"quota_warning", note{replaced, "mailbox.quota_warnings", "owners get letters, in their language; no program is run"}}, {"quota_exceeded_message", note{no, "", "facteur says it in the owner's language"}},
		{"quota_status_", note{no, "", "full mailboxes are refused in the session"}}, {"quota_clone", note{missing, "", "quotas are not written elsewhere"}}, {"quota_max_mail_size", note{replaced, "message_size_limit", "the largest letter"}},
		{"quota_vsizes", note{no, "", "quotas count what is on the disk"}}, {"lazy_expunge", note{replaced, "mailbox.keep_expunged", "expunged letters are kept for two weeks"}}, {"trash", note{no, "", "the oldest expunged letters go first"}},
		{"expire", note{replaced, "mailbox.expire", "letters that are too old are expunged"}}, {"fts", note{replaced, "mailbox.full_text", "searches for texts have an index"}}, {"zlib_", note{missing, "", "letters in zlib can't be read; doveadm mailbox dump writes them plain"}},
		{"mail_crypt_", note{missing, "", "encrypted letters can't be read"}}, {"virtual", note{missing, "", "there are no virtual mailboxes; mail programs search all mailboxes at once (ESEARCH)"}},
		{"antispam_", note{takeover.Waits, "", "what users file as spam is not learned yet"}}, {"imapsieve_", note{takeover.Waits, "", "facteur runs no Sieve yet"}}, {"welcome_", note{missing, "", "no program is run at a first log-in; default_mailbox makes mailboxes"}},
		{"listescape", note{no, "", "any name works"}}, {"mailbox_alias", note{missing, "", "a mailbox has one name"}}, {"notify_", note{no, "", "mail programs are told at once (IDLE, NOTIFY)"}}, {"push_", note{no, "", "mail programs are told at once (IDLE, NOTIFY)"}},
		{"stats_", note{no, "", "there are no statistics of that kind"}}, {"last_login_", note{no, "", "log-ins are remembered"}}, {"replication_", note{missing, "", "mailboxes are not copied to another machine"}}, {"vacation", note{takeover.Waits, "", "facteur runs no Sieve yet"}},
	}
}

// ignoredSections are sections by their first word, with what is said of their heads and of lines in
// them that nothing else is said of.
func ignoredSections() map[string]note {
	return map[string]note{
		"dict": {no, "", "there are no dictionaries"}, "metric": {no, "", "there are no statistics of that kind"}, "event_exporter": {no, "", "there are no statistics of that kind"},
		"remote": {missing, "", "settings for some clients only: none in facteur"}, "local": {missing, "", "settings for some addresses only: a [[listen]] has settings of its own"},
		"local_name": {replaced, "tls.certificate", "a client gets the certificate that fits the name it asks for"},
		"service":    {no, "", "there is one process"}, "protocol": {no, "", "doors have their own settings"}, "plugin": {yes, "", ""}, "namespace": {yes, "namespace", ""}, "mailbox": {yes, "default_mailbox", ""},
		"passdb": {yes, "directory", ""}, "userdb": {yes, "directory", ""}, "inet_listener": {yes, "listen", ""}, "unix_listener": {no, "", "sockets are where [[listen]] has them"}, "fifo_listener": {no, "", "there is one process"},
	}
}

// find is what is said of the first prefix that a name begins with.
func find(name string, all []struct {
	prefix string
	note
}) (note, bool) {
	for _, f := range all {
		if strings.HasPrefix(name, f.prefix) {
			return f.note, true
		}
	}
	return note{}, false
}
