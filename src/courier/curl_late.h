/* SPDX-License-Identifier: MIT
 *
 * libcurl, loaded by the courier alone.
 *
 * It brings some 27 libraries (HTTP/2, Kerberos, LDAP, SSH), which cost each
 * process that is linked with them 0.9 MB and its start some milliseconds:
 *	grep Private_Dirty /proc/PID/smaps_rollup
 * Workers and router have no use for them.  So its functions are found at run
 * time; who includes this in place of <curl/curl.h> calls them by their own
 * names.
 *
 * Runs in: the courier.  Owns: the library, to the end.
 */
#ifndef PEAL_CURL_LATE_H
#define PEAL_CURL_LATE_H

#include <curl/curl.h>

/* Before all others, and before the jail.  -1 with why. */
int	curl_load(const char **why);

/* macros that check types call what is behind them by name */
#undef curl_easy_getinfo
#undef curl_easy_setopt
#undef curl_multi_setopt

/* What is called of it. */
#define CURL_FUNCTIONS(F)						\
	F(easy_cleanup)							\
	F(easy_getinfo)							\
	F(easy_init)							\
	F(easy_setopt)							\
	F(easy_strerror)						\
	F(free)								\
	F(global_cleanup)						\
	F(global_init)							\
	F(multi_add_handle)						\
	F(multi_assign)							\
	F(multi_cleanup)						\
	F(multi_info_read)						\
	F(multi_init)							\
	F(multi_remove_handle)						\
	F(multi_setopt)							\
	F(multi_socket_action)						\
	F(slist_append)							\
	F(slist_free_all)						\
	F(url)								\
	F(url_cleanup)							\
	F(url_get)							\
	F(url_set)

struct curl_late {
#define MEMBER(name)	__typeof__(&curl_##name) name;
	CURL_FUNCTIONS(MEMBER)
#undef MEMBER
};
extern struct curl_late curl_late;

#define curl_easy_cleanup	curl_late.easy_cleanup
#define curl_easy_getinfo	curl_late.easy_getinfo
#define curl_easy_init		curl_late.easy_init
#define curl_easy_setopt	curl_late.easy_setopt
#define curl_easy_strerror	curl_late.easy_strerror
#define curl_free		curl_late.free
#define curl_global_cleanup	curl_late.global_cleanup
#define curl_global_init	curl_late.global_init
#define curl_multi_add_handle	curl_late.multi_add_handle
#define curl_multi_assign	curl_late.multi_assign
#define curl_multi_cleanup	curl_late.multi_cleanup
#define curl_multi_info_read	curl_late.multi_info_read
#define curl_multi_init		curl_late.multi_init
#define curl_multi_remove_handle curl_late.multi_remove_handle
#define curl_multi_setopt	curl_late.multi_setopt
#define curl_multi_socket_action curl_late.multi_socket_action
#define curl_slist_append	curl_late.slist_append
#define curl_slist_free_all	curl_late.slist_free_all
#define curl_url()		curl_late.url()
#define curl_url_cleanup	curl_late.url_cleanup
#define curl_url_get		curl_late.url_get
#define curl_url_set		curl_late.url_set

#endif
