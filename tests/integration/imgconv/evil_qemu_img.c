/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stands in for a qemu-img that an image has taken over. It tries what the letter behind the
 * image's header says; what worked it says on standard error, and ends with 3. Else it does what it
 * was asked for: a disk of zeros.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static int n_worked;

static void worked(const char *what, int how)
{
	if (how < 0)
		return;
	n_worked++;
	fprintf(stderr, "WORKED: %s\n", what);
}

static void try_files(const char *beside)
{
	char new[1024];

	snprintf(new, sizeof(new), "%s.new", beside);
	worked("reading /etc/passwd", open("/etc/passwd", O_RDONLY));
	worked("reading beside the image", open(beside, O_RDONLY));
	worked("writing beside the image", open(beside, O_WRONLY));
	worked("truncating", truncate(beside, 0));
	worked("truncating by opening", open(beside, O_RDONLY | O_TRUNC));
	worked("removing", unlink(beside));
	worked("renaming", rename(beside, new));
	worked("making", open(new, O_WRONLY | O_CREAT, 0600));
	worked("making a folder", mkdir(new, 0700));
	worked("writing the source", open("/proc/self/fd/3", O_RDWR));
	worked("changing its mode", fchmod(3, 0777));
	worked("looking into folders",
	       opendir("/root") || opendir("/etc") || opendir("/proc") ? 0 : -1);
	worked("its parent's memory", open("/proc/1/mem", O_RDONLY));
	worked("a device", open("/dev/tty", O_RDWR));
	worked("a second file", open("/proc/self/fd/5", O_RDONLY));
}

static void try_reaching(void)
{
	struct sockaddr_in inet = {.sin_family = AF_INET, .sin_port = htons(22)};
	struct sockaddr_un local = {.sun_family = AF_UNIX,
				    .sun_path = "/run/dbus/system_bus_socket"};
	int ends[2];

	worked("a socket", socket(AF_INET, SOCK_STREAM, 0));
	worked("a local socket", socket(AF_UNIX, SOCK_STREAM, 0));
	worked("a pair of sockets", socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
	worked("connecting", connect(0, (struct sockaddr *)&inet, sizeof(inet)));
	worked("connecting locally", connect(0, (struct sockaddr *)&local, sizeof(local)));
	worked("a process", fork());
	worked("a program", execl("/bin/true", "true", NULL));
	worked("a shell", execl("/bin/sh", "sh", "-c", "true", NULL));
	worked("a signal", kill(getppid() ? getppid() : -1, SIGCONT));
	worked("tracing", ptrace(PTRACE_ATTACH, getppid(), NULL, NULL) == 0 ? 0 : -1);
	worked("another root", chroot("/"));
	worked("another user", setuid(1));
	if (getenv("HOME") || getenv("PATH"))
		worked("the environment", 0);
}

static void take_memory(void)
{
	static char megabytes[64 << 20];

	for (int i = 0; i < 64; i++) {
		void *p = mmap(NULL, sizeof(megabytes), PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			return;
	}
	worked("4 GiB of memory", 0);
}

/* Data of the length, from the beginning. */
static void write_all(long long size)
{
	static char data[1 << 20];

	memset(data, 'x', sizeof(data));
	while (size > 0) {
		ssize_t n = write(4, data,
				  size < (long long)sizeof(data) ? (size_t)size : sizeof(data));

		if (n <= 0) {
			perror("write");
			exit(1);
		}
		size -= n;
	}
}

int main(int argc, char **argv)
{
	long long size = 5 << 20;
	char letter[1024] = "";

	/* Behind the header of a QED image. */
	if (argc < 2 || pread(3, letter, sizeof(letter) - 1, 64) < 1)
		return 2;
	switch (letter[0]) {
	case 'f':
		try_files(letter + 1);
		break;
	case 'r':
		try_reaching();
		break;
	case 'm':
		take_memory();
		break;
	case 't':
		for (;;)
			pause();
	case 'c':
		for (;;)
			;
	case 'd':
		write_all(size);
		usleep(250000);
		return 0;
	case 'l':
		write_all(1LL << 40);
		return 0;
	case 's':
		size--;
		break;
	case 'e':
		fprintf(stderr, "%s: \033[31mno\033[0m good\n'/proc/self/fd/3': two\n", argv[0]);
		return 1;
	}
	return n_worked ? 3 : ftruncate(4, size) < 0;
}
