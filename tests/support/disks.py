"""A disk that fills up."""


class Full:
    """A file on a disk that takes `room` bytes; like a system's, it writes a part of what does not
    fit, then refuses.
    """

    def __init__(self, file, room):
        self.file, self.room = file, room
        self.read = file.read
        self.readinto = file.readinto
        self.seek = file.seek
        self.tell = file.tell
        self.truncate = file.truncate
        self.flush = file.flush
        self.close = file.close

    def write(self, data):
        room = max(0, self.room - self.file.tell())
        if len(data) and not room:
            raise OSError(28, "No space left on device")
        return self.file.write(data[: max(1, min(room, len(data) // 2))])
