/* SPDX-License-Identifier: MIT */
#include "advise/doctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "kernel/host.h"
#include "kernel/proc.h"

void doctor_say(struct doctor *doctor, enum doctor_section section, const char *name, enum doctor_mark mark,
		const char *fix, const char *format, ...)
{
	struct doctor_item *item = &doctor->items[doctor->n_items];
	va_list args;

	if (doctor->n_items == DOCTOR_ITEMS_MAX)
		return;
	*item = (struct doctor_item){ .section = section, .name = name, .mark = mark, .fix = fix };
	va_start(args, format);
	vsnprintf(item->text, sizeof(item->text), format, args);
	va_end(args);
	doctor->n_items++;
}

static int64_t sysctl(const char *path)
{
	int64_t number;

	return proc_read_number(path, &number) == 0 ? number : -1;
}

static void look_at_host(struct doctor *d)
{
	struct utsname name;

	d->disabled = sysctl("/proc/sys/kernel/io_uring_disabled");
	d->group = sysctl("/proc/sys/kernel/io_uring_group");
	if (kernel_lsm_names(d->modules, sizeof(d->modules)) < 0)
		d->modules[0] = '\0';
	cve_this_kernel(&d->kernel);
	if (uname(&name) == 0)
		snprintf(d->release, sizeof(d->release), "%s", name.release);
}

void doctor_examine(struct doctor *d)
{
	look_at_host(d);
	doctor_access(d);
	doctor_limits(d);
	doctor_kernel(d);
	doctor_score(d);
}

const char *doctor_section_name(enum doctor_section section)
{
	static const char *const names[] = { "access", "limits", "kernel", "vulnerabilities", "protections" };

	return names[section];
}

const char *doctor_mark_name(enum doctor_mark mark)
{
	static const char *const names[] = { "good", "plain", "warning", "obstacle", "unknown" };

	return names[mark];
}
