// SPDX-License-Identifier: MIT
// File work that libuv sends through io_uring when UV_USE_IO_URING=1: opened, written, read, looked at, renamed, removed.
'use strict';
const fs = require('fs/promises');
const path = require('path');
const crypto = require('crypto');

async function one(folder, i) {
	const name = path.join(folder, `file-${i}`);
	const bytes = crypto.createHash('sha512').update(String(i)).digest('hex').repeat(64 + i);
	await fs.writeFile(name, bytes);
	const handle = await fs.open(name, 'r+');
	await handle.write('beginning', 0);
	await handle.sync();
	await handle.datasync();
	const head = Buffer.alloc(4096);
	const { bytesRead } = await handle.read(head, 0, 4096, 0);
	const { size } = await handle.stat();
	await handle.close();
	await fs.rename(name, `${name}.new`);
	const all = await fs.readFile(`${name}.new`, 'utf8');
	const { size: again } = await fs.lstat(`${name}.new`);
	await fs.unlink(`${name}.new`);
	return [i, bytesRead, size, again, crypto.createHash('md5').update(head).update(all).digest('hex')].join(' ');
}

(async () => {
	const lines = await Promise.all([...Array(64).keys()].map((i) => one(process.argv[2], i)));
	console.log(lines.join('\n'));
	await fs.readFile(path.join(process.argv[2], 'not-there')).catch((error) => console.log(error.code));
})();
