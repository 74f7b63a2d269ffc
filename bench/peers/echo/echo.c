/* The floor: it sends each datagram back with the bit that makes it a reply, up to 32
 * a system call, and does nothing else. Usage: echo PORT (of 127.0.0.1). */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { BATCH = 32, LARGEST = 2048 };

static unsigned char data[BATCH][LARGEST];
static struct sockaddr_in from[BATCH];
static struct iovec part[BATCH];
static struct mmsghdr msg[BATCH];

static int listen_at(int port)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int room = 4 << 20, fd = socket(AF_INET, SOCK_DGRAM, 0);

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room); /* as much as the system allows */
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof addr) != 0) {
		perror("bind");
		exit(1);
	}
	return fd;
}

int main(int argc, char **argv)
{
	int fd = listen_at(argc > 1 ? atoi(argv[1]) : 0);

	for (;;) {
		for (int i = 0; i < BATCH; i++) {
			part[i] = (struct iovec){data[i], LARGEST};
			msg[i].msg_hdr = (struct msghdr){.msg_name = &from[i], .msg_namelen = sizeof from[i], .msg_iov = &part[i], .msg_iovlen = 1};
		}
		int n = recvmmsg(fd, msg, BATCH, MSG_WAITFORONE, NULL);
		for (int i = 0; i < n; i++) {
			part[i].iov_len = msg[i].msg_len;
			data[i][2] |= 0x80;
		}
		for (int done = 0, k; done < n; done += k)
			if ((k = sendmmsg(fd, msg + done, n - done, 0)) <= 0)
				break;
	}
}
