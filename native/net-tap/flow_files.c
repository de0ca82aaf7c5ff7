/* What the rules tell, kept in two files of a folder by turns, so that whoever reads it may be away for a while. Each is a pcap of its own, as long as
 * it may be; then the other one is begun anew. In the header's field "accuracy", which nobody uses, is a number that counts them: the higher one is
 * the later. A program that is begun anew goes on with the next. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tap.h"

enum { most_bytes = 2 * 1024 * 1024 };

static int files[2], current;
static uint32_t number, link_type_of_all;
static size_t length;

static int open_in(const char *folder, const char *name, int flags) {
	char path[4096];
	if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, name) >= sizeof path) fail("%s is too long for a folder", folder);
	int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
	if (file < 0) fail("%s: %s", path, strerror(errno));
	return file;
}

static uint32_t number_of(int file) {
	struct pcap_header header;
	return pread(file, &header, sizeof header, 0) == sizeof header && header.magic == pcap_magic ? header.accuracy : 0;
}

/* A disk without room loses packets, never a part of one. */
static void append(const struct iovec *pieces, int count, size_t size) {
	ssize_t written = writev(files[current], pieces, count);
	if (written == (ssize_t)size) length += size;
	else if (ftruncate(files[current], (off_t)length)) fail("the record cannot be cut: %s", strerror(errno));
}

static void append_header(void) {
	struct pcap_header header = pcap_header_of(link_type_of_all, number);
	append(&(struct iovec){&header, sizeof header}, 1, sizeof header);
}

static void begin_file(void) {
	number++;
	current = !current;
	length = 0;
	if (ftruncate(files[current], 0)) fail("the record cannot be begun anew: %s", strerror(errno));
	append_header();
}

void begin_record(const char *folder, uint32_t link_type) {
	char words[16];
	/* each byte comes behind the last one, wherever the file was cut */
	files[0] = open_in(folder, "flows.0", O_APPEND);
	files[1] = open_in(folder, "flows.1", O_APPEND);
	uint32_t numbers[2] = {number_of(files[0]), number_of(files[1])};
	current = numbers[1] > numbers[0];
	number = numbers[current];
	link_type_of_all = link_type;
	begin_file();
	int file = open_in(folder, "flows.pid", O_TRUNC);
	int size = snprintf(words, sizeof words, "%d\n", getpid());
	if (write(file, words, (size_t)size) != size) fail("its pid cannot be written: %s", strerror(errno));
	close(file);
	signal(SIGPIPE, SIG_IGN);
	puts("ready");
	/* whoever started it does not listen for more */
	if (fflush(stdout) || !freopen("/dev/null", "w", stdout)) fail("/dev/null: %s", strerror(errno));
}

void record_packet(const struct iovec *pieces, int count, uint32_t before) {
	struct iovec all[5];
	uint32_t header[4];
	size_t size = with_header(header, all, pieces, count, before);
	if (length + size > most_bytes) begin_file();
	/* there was no room for it */
	if (length == 0) append_header();
	if (length > 0) append(all, count + 1, size);
}
