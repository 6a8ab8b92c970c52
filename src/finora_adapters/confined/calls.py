"""Linux's calls by number: those that a confined process may make, and those that are judged one by
one. Whatever is in neither list is denied."""

import platform
from collections.abc import Mapping

ARCHITECTURES: Mapping[str, int] = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""As the kernel names them to a filter."""

_FREE = {
    "read": (0, 63), "write": (1, 64), "close": (3, 57), "fstat": (5, 80), "poll": (7, None),
    "lseek": (8, 62), "munmap": (11, 215), "brk": (12, 214), "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "pread64": (17, 67),
    "readv": (19, 65), "writev": (20, 66), "select": (23, None), "sched_yield": (24, 124),
    "mremap": (25, 216), "madvise": (28, 233), "dup": (32, 23), "dup2": (33, None),
    "nanosleep": (35, 101), "getpid": (39, 172), "exit": (60, 93), "uname": (63, 160),
    "getcwd": (79, 17), "gettimeofday": (96, 169), "getrlimit": (97, 163),
    "getrusage": (98, 165), "times": (100, 153), "getuid": (102, 174), "getgid": (104, 176),
    "geteuid": (107, 175), "getegid": (108, 177), "getppid": (110, 173),
    "sigaltstack": (131, 132), "gettid": (186, 178), "time": (201, None), "futex": (202, 98),
    "sched_getaffinity": (204, 123), "getdents64": (217, 61), "restart_syscall": (219, 128),
    "clock_gettime": (228, 113), "clock_getres": (229, 114), "clock_nanosleep": (230, 115),
    "exit_group": (231, 94), "pselect6": (270, 72), "ppoll": (271, 73),
    "set_robust_list": (273, 99), "dup3": (292, 24), "getrandom": (318, 278),
    "rseq": (334, 293), "close_range": (436, 436), "pipe": (22, None), "pipe2": (293, 59),
}  # fmt: skip
"""What a process does to itself, or to what it has open: on x86_64 and aarch64."""

_ARGUED = {
    "mmap": (9, 222), "mprotect": (10, 226), "ioctl": (16, 29), "sendmsg": (46, 211),
    "fcntl": (72, 25), "prlimit64": (302, 261),
}  # fmt: skip
"""Some of what they can do is free; the filter looks at their arguments."""

_OF_PATHS = {
    "open": (2, None, 0, 1, None), "openat": (257, 56, 1, 2, None),
    "stat": (4, None, 0, None, None), "lstat": (6, None, 0, None, None),
    "newfstatat": (262, 79, 1, None, 3), "statx": (332, 291, 1, None, 2),
    "access": (21, None, 0, None, None), "faccessat": (269, 48, 1, None, None),
    "faccessat2": (439, 439, 1, None, None), "readlink": (89, None, 0, None, None),
    "readlinkat": (267, 78, 1, None, None),
}  # fmt: skip
"""What looks at a file by its path: also which argument is the path, which one says how it is
opened, and which one says that an empty path means the descriptor itself."""

_NAMED = {
    "socket": (41, 198), "connect": (42, 203), "accept": (43, 202), "sendto": (44, 206),
    "recvfrom": (45, 207), "recvmsg": (47, 212), "bind": (49, 200), "listen": (50, 201),
    "socketpair": (53, 199), "clone": (56, 220), "fork": (57, None), "vfork": (58, None),
    "execve": (59, 221), "wait4": (61, 260), "kill": (62, 129), "semget": (64, 190),
    "msgget": (68, 186), "shmget": (29, 194), "truncate": (76, 45), "ftruncate": (77, 46),
    "chdir": (80, 49), "fchdir": (81, 50), "rename": (82, None), "mkdir": (83, None),
    "rmdir": (84, None), "creat": (85, None), "link": (86, None), "unlink": (87, None),
    "symlink": (88, None), "chmod": (90, None), "fchmod": (91, 52), "chown": (92, None),
    "ptrace": (101, 117), "syslog": (103, 116), "setuid": (105, 146), "setgid": (106, 144),
    "setgroups": (116, 159), "setresuid": (117, 147), "capset": (126, 91),
    "rt_sigqueueinfo": (129, 138), "mknod": (133, None), "personality": (135, 92),
    "setpriority": (141, 140), "mlockall": (151, 230), "pivot_root": (155, 41),
    "prctl": (157, 167), "setrlimit": (160, 164), "chroot": (161, 51), "acct": (163, 89),
    "mount": (165, 40), "umount2": (166, 39), "swapon": (167, 224), "reboot": (169, 142),
    "sethostname": (170, 161), "init_module": (175, 105), "tkill": (200, 130),
    "sched_setaffinity": (203, 122), "io_setup": (206, 0), "tgkill": (234, 131),
    "kexec_load": (246, 104), "add_key": (248, 217), "keyctl": (250, 219),
    "mkdirat": (258, 34), "mknodat": (259, 33), "unlinkat": (263, 35), "renameat": (264, 38),
    "linkat": (265, 37), "symlinkat": (266, 36), "fchmodat": (268, 53), "unshare": (272, 97),
    "eventfd2": (290, 19), "epoll_create1": (291, 20), "inotify_init1": (294, 26),
    "perf_event_open": (298, 241), "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265), "setns": (308, 268), "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271), "finit_module": (313, 273), "renameat2": (316, 276),
    "seccomp": (317, 277), "memfd_create": (319, 279), "bpf": (321, 280),
    "execveat": (322, 281), "userfaultfd": (323, 282), "pidfd_send_signal": (424, 424),
    "io_uring_setup": (425, 425), "pidfd_open": (434, 434), "clone3": (435, 435),
    "openat2": (437, 437), "pidfd_getfd": (438, 438), "landlock_create_ruleset": (444, 444),
    "landlock_restrict_self": (446, 446),
}  # fmt: skip
"""Only so that the log can say what was denied."""

_COLUMN = int(platform.machine() == "aarch64")


def _here(table: Mapping[str, tuple[int | None, ...]]) -> dict[str, int]:
    numbers = {name: numbers[_COLUMN] for name, numbers in table.items()}
    return {name: number for name, number in numbers.items() if number is not None}


FREE = frozenset(_here(_FREE).values())
ARGUED = _here(_ARGUED)
OF_PATHS = {number: _OF_PATHS[name][2:] for name, number in _here(_OF_PATHS).items()}
NAMES = {
    number: name
    for table in (_NAMED, _ARGUED, _OF_PATHS)
    for name, number in _here(table).items()
}  # fmt: skip
