"""The item types for the official client: what `stately schema generate` would write, built from schema/schema.json."""

import json
from pathlib import Path

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from statelydb import key_path
from statelydb.lib.api.db.item_pb2 import Item
from statelydb.src.types import BaseTypeMapper, StatelyItem

SCHEMA = json.loads((Path(__file__).parents[4] / "schema/schema.json").read_text())
PACKAGE = "stately.generated"
FIELD = descriptor_pb2.FieldDescriptorProto


def _descriptor_file() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name="stately.proto", package=PACKAGE, syntax="proto3")
    for name, values in SCHEMA["enums"].items():
        enum = file.enum_type.add(name=name)
        for value, number in values.items():
            enum.value.add(name=f"{name}_{value}", number=number)
    for name, item in SCHEMA["items"].items():
        message = file.message_type.add(name=name)
        for field in item["fields"]:
            described = message.field.add(name=field["name"], json_name=field["name"], number=field["number"])
            described.label = FIELD.LABEL_REPEATED if field.get("repeated") else FIELD.LABEL_OPTIONAL
            if field["type"] in SCHEMA["enums"]:
                described.type = FIELD.TYPE_ENUM
                described.type_name = f".{PACKAGE}.{field['type']}"
            else:
                described.type = FIELD.Type.Value(f"TYPE_{field['type'].upper()}")
    return file


def _messages() -> dict:
    pool = descriptor_pool.DescriptorPool()
    pool.Add(_descriptor_file())
    names = SCHEMA["items"].keys()
    return {n: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{n}")) for n in names}


class _Item(StatelyItem):
    """An item; its fields are those of the protobuf message in `fields`."""

    _name: str
    _message: type

    def __init__(self, **fields) -> None:
        super().__init__()
        self.fields = self._message(**fields)

    def key_path(self) -> str:
        template = SCHEMA["items"][self._name]["keyPaths"][0]
        parts = [part.split("-:") for part in template.split("/")[1:]]
        named = "".join(f"/{part[0]}" + (f"-{{{part[1]}}}" if len(part) > 1 else "") for part in parts)
        return key_path(named, **{part[1]: getattr(self.fields, part[1]) for part in parts if len(part) > 1})

    def marshal(self) -> Item:
        self.check_item_key_reuse()
        return Item(item_type=self._name, proto=self.fields.SerializeToString())

    @classmethod
    def unmarshal(cls, proto_bytes: bytes) -> "StatelyItem":
        item = cls()
        item.fields = cls._message.FromString(proto_bytes)
        item._primary_key_path = item.key_path()
        return item

    @classmethod
    def item_type(cls) -> str:
        return cls._name


ITEM_TYPES = {name: type(name, (_Item,), {"_name": name, "_message": made}) for name, made in _messages().items()}


class TypeMapper(BaseTypeMapper):
    """Finds the class of an item."""

    @staticmethod
    def unmarshal(item: Item) -> StatelyItem:
        return ITEM_TYPES[item.item_type].unmarshal(item.proto)
