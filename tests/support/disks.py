"""A disk that fills up."""


class Full:
    """A file on a disk that takes `room` bytes; like a system's, it writes a part of what does not
    fit, then refuses.
    """

    def __init__(self, file, room):
        self.file, self.room = file, room
        self.read, self.readinto, self.seek, self.tell = (
            file.read,
            file.readinto,
            file.seek,
            file.tell,
        )
        self.truncate, self.flush, self.close = file.truncate, file.flush, file.close

    def write(self, data):
        room = max(0, self.room - self.file.tell())
        if len(data) and not room:
            raise OSError(28, "No space left on device")
        return self.file.write(data[: max(1, min(room, len(data) // 2))])
